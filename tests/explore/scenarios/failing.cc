// Memory that fails while processes use it, map it for the first time, copy its tables, and while it is moved.
#include "explore/scenario.h"
#include "quire/rmap/migrate.h"
#include "quire/rmap/poison.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

/// Lets the memory behind a page of `process` fail.
void failure(World& w, Process& process, unsigned page) {
  const Pfn pfn = test::path_to(*process.space, World::at(page)).leaf;
  w.actor("F", [&w, pfn] {
    w.act("poison", [&w, pfn] {
      static_cast<void>(poison_frame(w.memory(), pfn));  // busy while it moves
      return "done";
    });
  });
}

void poison_and_store(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.touch(b, 0, 0, 1);
  w.watch(0, 2);
  failure(w, a, 0);
  w.actor("B1", [&w, &b] { w.load(b, 0, 0); });
  w.actor("A1", [&w, &a] { w.store(a, 0, 1, 71); });
}

void poison_and_first_fault(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 1, uapi::kProtRead | uapi::kProtWrite, uapi::kMapShared);
  Process& b = w.fork(a, "B");
  w.fill(a, 0, 1);  // B has not seen the page yet
  w.watch_shared(0, 1);
  failure(w, a, 0);
  w.actor("B1", [&w, &b] { w.load(b, 0, 0); });
}

void poison_and_unmap(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  w.watch(1, 1);
  failure(w, a, 0);
  w.actor("A1", [&w, &a] {
    w.dont_need(a, 0, 1);
    w.load(a, 0, 0);
  });
}

void poison_and_migrate(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  const Pfn pfn = test::path_to(*a.space, World::at(0)).leaf;
  failure(w, a, 0);
  w.actor("M", [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
}

constexpr Scenario kScenarios[] = {
    {"poison_and_store", "S1.6 S2.23", "memory fails while one sharer of its table reads it and another copies the table",
     poison_and_store},
    {"poison_and_first_fault", "S1.6", "memory of a shared object fails while a process maps it for the first time",
     poison_and_first_fault},
    {"poison_and_unmap", "S1.6 R24", "memory fails while its page is dropped", poison_and_unmap},
    {"poison_and_migrate", "S1.6", "memory fails while its page is moved", poison_and_migrate},
};

}  // namespace

std::span<const Scenario> failing_scenarios() { return kScenarios; }

}  // namespace quire::explore
