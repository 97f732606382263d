// Pages that move to other frames while their processes use them, copy their tables, and go.
//
// Whether a move succeeds may depend on who was where; what memory holds may not. So the mover says nothing of its success.
#include "explore/scenario.h"
#include "quire/rmap/migrate.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

/// Lets an actor move whatever is in the frame that is now behind a page of `process`.
void mover(World& w, const std::string& name, Process& process, unsigned page) {
  const Pfn pfn = test::path_to(*process.space, World::at(page)).leaf;
  w.actor(name, [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
}

void migrate_and_store(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);  // through a writable translation that stays
  w.watch(0, 1);
  mover(w, "M", a, 0);
  w.actor("A1", [&] {
    w.store(a, 0, 0, 70);
    w.load(a, 0, 0);
  });
}

void migrate_shared_and_store(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 1, uapi::kProtRead | uapi::kProtWrite, uapi::kMapShared);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  w.fill(b, 0, 1);
  w.touch(a, 0, 0, 1);
  w.watch_shared(0, 1);
  mover(w, "M", a, 0);
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 70); });
  w.actor("A1", [&w, &a] { w.load(a, 0, 0); });
}

void migrate_and_first_fault(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 1, uapi::kProtRead | uapi::kProtWrite, uapi::kMapShared);
  Process& b = w.fork(a, "B");
  w.fill(a, 0, 1);  // B has not seen the page yet
  w.watch_shared(0, 1);
  mover(w, "M", a, 0);
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 70); });
}

void migrate_and_unshare(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  mover(w, "M", a, 0);
  w.actor("B1", [&w, &b] { w.store(b, 0, 1, 71); });
}

void migrate_and_copy(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.fork(a, "B");
  w.touch(a, 1, 0, 1);
  w.watch(0, 1);
  mover(w, "M", a, 0);
  w.actor("A1", [&] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&] { w.load(a, 1, 0); });
}

void migrate_and_fork(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& c = w.unborn("C");
  w.watch(0, 2);
  mover(w, "M", a, 0);
  w.actor("A1", [&] {
    w.fork_to(a, c);
    w.store(a, 0, 0, 70);
  });
}

void migrate_and_exits(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.fill(b, 1, 1);  // B has a copy of the table
  Process& c = w.create("C");  // its object keeps the memory of those that go from being given back
  w.map(c, 0, 1);
  w.fill(c, 0, 1);
  mover(w, "M", a, 0);
  w.actor("A1", [&w, &a] { w.exit(a); });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

void migrate_and_unmap(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  w.touch(a, 1, 0, 2);
  w.watch(0, 2);
  mover(w, "M", a, 0);
  w.actor("A1", [&] {
    w.dont_need(a, 0, 1);
    w.load(a, 0, 0);
  });
  w.actor("A2", [&] { w.store(a, 1, 0, 70); });
}

void migrate_and_mremap(World& w) {
  Process& a = w.create("A");
  w.map(a, 8, 4);
  w.fill(a, 9, 1);
  w.watch(0, 12);
  mover(w, "M", a, 9);
  w.actor("A1", [&w, &a] {
    w.mremap(a, 9, 1, 1);  // to a table that a walk visits before
    w.store(a, 0, 1, 70);
  });
}

void migrate_and_protect(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  w.watch(0, 2);
  mover(w, "M", a, 0);
  w.actor("A1", [&] {
    w.mprotect(a, 0, 1, uapi::kProtRead);
    w.store(a, 0, 0, 70);
  });
}

void two_migrations(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.fork(a, "B");
  w.watch(0, 1);
  mover(w, "M", a, 0);
  mover(w, "N", a, 0);
}

// A page somebody has got through the object stays where it is, and is written there.
void migrate_and_hold(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 1, uapi::kProtRead | uapi::kProtWrite, uapi::kMapShared);
  w.fill(a, 0, 1);
  w.watch_shared(0, 1);
  MemoryObject* const object = w.memory().frame(test::path_to(*a.space, World::at(0)).leaf).page.object;
  mover(w, "M", a, 0);
  w.actor("H", [&w, object] {
    w.act("write", [&w, object] {
      auto page = object->get_page(PageIndex(0), Access::kRead);
      if (!page) {  // it is on its way
        const std::uint32_t moves = w.memory().moves_of_pages();
        page = object->get_page(PageIndex(0), Access::kRead);
        if (!page) w.memory().wait_for_moves(moves);
        if (!page) page = object->get_page(PageIndex(0), Access::kRead);
      }
      const std::uint64_t value = 70;
      std::byte* const memory = w.memory().contents(*page->frame);
      hooks::yield_point("store_frame", memory);
      __builtin_memcpy(memory, &value, sizeof value);
      if (page->frame->put()) w.memory().pool().give(page->frame);
      return "done";
    });
  });
}

void migrate_and_write_from_outside(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.watch(0, 1);
  mover(w, "M", a, 0);
  w.actor("X", [&w, &a] {
    w.act("write", [&a] {
      const std::uint64_t value = 70;
      return a.space->write(World::at(0), std::as_bytes(std::span(&value, 1))) ? "done" : "failed";
    });
  });
}

constexpr WorldConfig kCopyMode{.fork_mode = ForkMode::kCopy};

constexpr Scenario kScenarios[] = {
    {"migrate_and_store", "R14 S0.63", "a page moves while its process stores through a translation it has cached", migrate_and_store},
    {"migrate_and_wait", "S1.6", "the same, with an eye on how the store waits for the move", migrate_and_store, {}, Attention::kBasics},
    {"migrate_shared_and_store", "R14 S0.63 S2.24", "a shared page moves while one sharer of its table stores and another loads",
     migrate_shared_and_store},
    {"migrate_and_first_fault", "R13 R14 S4.29 S4.22", "a shared page moves while a process maps it for the first time",
     migrate_and_first_fault},
    {"migrate_and_unshare", "R13 R14 S0.38 S2.20", "a page moves while a sharer copies the table it is in", migrate_and_unshare},
    {"migrate_and_copy", "R13 S4.25", "a page moves while a sharer breaks copy-on-write and its sibling reads", migrate_and_copy},
    {"migrate_and_fork", "R13 S2.20", "a page moves while its process forks, then stores", migrate_and_fork},
    {"migrate_and_fork_copy", "R13 S2.20", "the same where fork copies all tables", migrate_and_fork, kCopyMode},
    {"migrate_and_exits", "R24 R25", "a page moves while both processes that have it exit", migrate_and_exits},
    {"migrate_and_unmap", "R14 S4.28", "a page moves while it is dropped and a sibling stores", migrate_and_unmap},
    {"migrate_and_mremap", "R15", "a page migrates while mremap takes its entry to another table", migrate_and_mremap},
    {"migrate_and_protect", "S1.6", "a page moves while it becomes read-only, then a store", migrate_and_protect},
    {"two_migrations", "S1.6", "two move one page", two_migrations},
    {"migrate_and_hold", "R13 S4.32", "a shared page moves while somebody gets it from its object and writes", migrate_and_hold},
    {"migrate_and_write_from_outside", "R14", "a page moves while it is written from outside its process", migrate_and_write_from_outside},
};

}  // namespace

std::span<const Scenario> migrating_scenarios() { return kScenarios; }

}  // namespace quire::explore
