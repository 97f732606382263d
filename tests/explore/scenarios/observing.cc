// Observers (smaps, pagemap, pagetable) while what they look at comes and goes.
//
// What an observer is told may be of several moments, so it is no part of the outcome; but it is possible, comes from tables that are
// there, and is exact when all is over.
#include "explore/scenario.h"
#include "quire/rmap/migrate.h"
#include "quire/space/observe.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

constexpr unsigned kPages = 4;

/// Looks at all there is to see of a process whose first `resident` pages are there all the while.
void observe(World& w, AddressSpace& space, unsigned resident) {
  Observer observer(space);
  PageState states[kPages];
  observer.look(World::at(0), states);
  for (unsigned n = 0; n < kPages; ++n) {
    const PageState& state = states[n];
    w.expect(state.counted || n >= resident, "R25: a page that is there is not seen");
    w.expect(!state.counted || (state.mappings >= 1 && state.mappings <= 4),
             "X8: a page is mapped by nobody, or by more than there are");
  }
  w.expect(observer.tables().tables.raw() >= 1, "I10: a space without a table");
}

/// Observes the process with a hold of its own on the space, as /proc has.
void observer_of(World& w, Process& process, unsigned resident) {
  AddressSpace* const space = &*process.space;
  space->acquire();
  w.finally([space] { space->release(); });
  w.actor("observer", [&w, space, resident] {
    w.act("observe", [&w, space, resident] {
      observe(w, *space, resident);
      return "ok";
    });
  });
}

/// When all is quiet: how often the page is mapped, as `process` is told.
void expect_mappings(World& w, Process& process, unsigned page, std::uint32_t mappings) {
  PageState state;
  Observer(*process.space).look(World::at(page), {&state, 1});
  w.expect(state.mappings == mappings, "X8: the mappings of a page of " + process.name);
}

void observe_and_unshare(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, kPages);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  observer_of(w, a, 2);
  w.actor("B1", [&w, &b] { w.store(b, 0, 1, 71); });
  w.finally([&w, &a, &b] {
    expect_mappings(w, a, 0, 2);
    expect_mappings(w, b, 1, 1);
  });
}

void observe_and_write(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, kPages);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  observer_of(w, a, 2);
  w.actor("A1", [&w, &a] { w.store(a, 1, 1, 61); });
  w.finally([&w, &a, &b] {
    expect_mappings(w, b, 0, 2);
    expect_mappings(w, a, 1, 1);
  });
}

void observe_and_exit(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, kPages);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.fill(b, 1, 1);
  observer_of(w, a, 2);
  w.actor("B1", [&w, &b] { w.exit(b); });
  w.finally([&w, &a] { expect_mappings(w, a, 0, 1); });
}

void observe_write_and_exit(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, kPages);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  observer_of(w, a, 2);
  w.actor("A1", [&w, &a] { w.store(a, 1, 1, 61); });
  w.actor("B1", [&w, &b] { w.exit(b); });
  w.finally([&w, &a] { expect_mappings(w, a, 0, 1); });
}

void observe_and_fork(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, kPages);
  w.fill(a, 0, 2);
  Process& c = w.unborn("C");
  w.watch(0, 2);
  observer_of(w, a, 2);
  w.actor("A1", [&w, &a, &c] { w.fork_to(a, c); });
  w.finally([&w, &a, &c] {
    expect_mappings(w, a, 0, 2);
    expect_mappings(w, c, 1, 2);
  });
}

void observe_and_unmap(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, kPages);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  observer_of(w, b, 1);
  w.actor("A1", [&w, &a] {
    w.munmap(a, 0, kPages);
    w.mmap(a, 0, 3);
    w.store(a, 0, 1, 61);  // takes the frames that were freed
  });
  w.finally([&w, &b] { expect_mappings(w, b, 0, 1); });
}

// What is written after pages were taken for not written is told, whatever the processor has cached.
void track_and_write(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, kPages);
  w.fill(a, 0, 2);
  static_cast<void>(w.fork(a, "B"));
  w.watch(0, 2);
  const auto seen = std::make_shared<std::uint64_t>(0);
  w.actor("A1", [&w, &a] {
    w.store(a, 0, 0, 60);
    w.store(a, 0, 0, 70);
  });
  w.actor("A2", [&w, &a, seen] {
    w.act("track", [&a] { return a.space->track_writes() ? "ok" : "failed"; });
    w.act("read", [&a, seen] { return a.space->read(World::at(0), std::as_writable_bytes(std::span(seen.get(), 1))) ? "ok" : "failed"; });
  });
  w.finally([&w, &a, seen] {
    PageState state;
    Observer(*a.space).look(World::at(0), {&state, 1});
    w.expect(state.soft_dirty || *seen == 70, "S0.62: a write that nobody is told of");
  });
}

// A page that is on its way to another frame is there.
void observe_and_move(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, kPages);
  w.fill(a, 0, 2);
  static_cast<void>(w.fork(a, "B"));
  w.watch(0, 2);
  const Pfn pfn = test::path_to(*a.space, World::at(0)).leaf;
  observer_of(w, a, 2);
  w.actor("M", [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
  w.finally([&w, &a] { expect_mappings(w, a, 0, 2); });
}

constexpr WorldConfig kLeafMode{.fork_mode = ForkMode::kLeaf};
constexpr WorldConfig kCopyMode{.fork_mode = ForkMode::kCopy};

constexpr Scenario kScenarios[] = {
    {"observe_and_unshare", "X8 S0.62", "an observer of one process while its relative copies the table", observe_and_unshare},
    {"observe_and_write", "X8 S0.62", "an observer of a process while that copies a shared table", observe_and_write},
    {"observe_and_exit", "X8 R25", "an observer of one process while its relative exits", observe_and_exit},
    {"observe_write_and_exit", "X8 R25", "an observer of a process while that copies a shared table that its relative lets go",
     observe_write_and_exit},
    {"observe_and_fork", "X8", "an observer of a process while it forks", observe_and_fork},
    {"observe_and_fork_copy", "X8", "the same while fork copies the tables", observe_and_fork, kCopyMode},
    {"observe_and_unmap", "X8 R24 R25", "an observer of one process while its relative gives its tables back", observe_and_unmap,
     kLeafMode},
    {"track_and_write", "S0.62 X16", "writes are tracked from now on while another thread writes", track_and_write},
    {"observe_and_move", "X8 R14", "an observer of a process while its page is moved", observe_and_move},
};

}  // namespace

std::span<const Scenario> observing_scenarios() { return kScenarios; }

}  // namespace quire::explore
