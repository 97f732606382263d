// Write faults that leave shared tables and shared pages, by siblings and by sharers.
#include "explore/scenario.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

void siblings_unshare(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  w.fork(a, "B");
  w.watch(0, 2);
  w.actor("A1", [&] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&] { w.store(a, 1, 1, 71); });
}

void siblings_and_exit(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  w.actor("A1", [&] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&] { w.store(a, 1, 1, 71); });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

void one_page_two_writers(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.fork(a, "B");
  w.watch(0, 1);
  w.actor("A1", [&] {
    w.store(a, 0, 0, 70);
    w.load(a, 0, 0);
  });
  w.actor("A2", [&] {
    w.store(a, 1, 0, 71);
    w.load(a, 1, 0);
  });
}

void one_zero_page_two_writers(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 3);  // not all of a table: single zero leaves
  w.touch(a, 0, 0, 1);
  w.touch(a, 1, 0, 1);
  w.watch(0, 3);
  w.actor("A1", [&] {
    w.store(a, 0, 0, 70);
    w.load(a, 0, 1);
  });
  w.actor("A2", [&] {
    w.store(a, 1, 0, 71);
    w.load(a, 1, 1);
  });
}

void zero_tables(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 16);  // a zero table of level 2
  w.touch(a, 0, 0, 1);
  w.touch(a, 1, 1, 1);
  w.watch(0, 3);
  w.actor("A1", [&] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&] {
    w.load(a, 1, 0);
    w.store(a, 1, 1, 71);
  });
}

void both_sharers_write(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 70); });
  w.actor("B1", [&w, &b] {
    w.store(b, 0, 0, 71);
    w.store(b, 0, 1, 72);
  });
}

void push_down(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 8);
  w.fill(a, 0, 1);
  w.fill(a, 4, 1);
  Process& b = w.fork(a, "B");
  Process& c = w.unborn("C");
  w.watch(0, 1);
  w.watch(4, 1);
  w.actor("A1", [&] {
    w.store(a, 0, 0, 70);
    w.fork_to(a, c);
  });
  w.actor("B1", [&] { w.store(b, 0, 4, 71); });
}

/// Reads the entries on the way to `page` as a processor might at any moment, all within one table's operations.
std::string seen_on_path(World& w, Process& process, unsigned page) {
  const Geometry& geometry = w.memory().geometry();
  Pfn table = process.space->tlb().root;
  for (Level level = geometry.root_level();; level = level.below()) {
    const auto* const entry = reinterpret_cast<const std::uint64_t*>(w.memory().window(table)) + geometry.slot_of(World::at(page), level);
    hooks::yield_point("walk", entry);
    const Entry seen = Entry::decoded(__atomic_load_n(entry, __ATOMIC_ACQUIRE));
    if (!seen.present()) return "gap at level " + std::to_string(level.raw());
    // What follows is the processor's: it looks at the first upper entry only, so no table that is going is entered.
    return "ok";
  }
}

void never_empty(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 8);
  w.fill(a, 0, 8);
  w.fork(a, "B");
  w.watch(0, 8);
  w.actor("A1", [&] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&] { w.dont_need(a, 5, 1); });
  w.actor("CPU", [&] { w.act("look", [&] { return seen_on_path(w, a, 1); }); });
}

// One page is the news, another the flag that says so: who sees the flag sees the news.
void stale_reader(World& w) {
  Process& a = w.create("A", 3);
  w.map(a, 0, 8);
  w.fill(a, 0, 1);
  w.fill(a, 4, 1);
  w.fork(a, "B");
  w.fill(a, 4, 1);  // the flag's page is the process's own again
  w.touch(a, 1, 0, 1);
  w.watch(0, 1);
  w.actor("A1", [&] { w.store(a, 0, 0, 50); });
  w.actor("A2", [&] {
    w.load(a, 1, 4);
    w.load(a, 1, 0);
  });
  w.actor("A3", [&] {
    w.store(a, 2, 0, 60);
    w.store(a, 2, 4, 61);
  });
}

void stale_reader_of_zero(World& w) {
  Process& a = w.create("A", 3);
  w.map(a, 0, 8);
  w.fill(a, 4, 1);
  w.touch(a, 1, 0, 1);
  w.watch(0, 1);
  w.actor("A1", [&] { w.store(a, 0, 0, 50); });
  w.actor("A2", [&] {
    w.load(a, 1, 4);
    w.load(a, 1, 0);
  });
  w.actor("A3", [&] {
    w.store(a, 2, 0, 60);
    w.store(a, 2, 4, 61);
  });
}

// Somebody else, such as a pipe, holds a page that is mapped only once in the end. Whoever takes a hold through a shared path takes write
// permission from the entry it came through, since a table that is taken over later gets it back as a whole.
void held_page(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  w.watch(0, 1);
  const Pfn pfn = test::path_to(*a.space, World::at(0)).leaf;
  w.memory().frame(pfn).get();
  const test::Path path = test::path_to(*a.space, World::at(0));
  auto* const leaf = reinterpret_cast<std::uint64_t*>(w.memory().window(path.tables[path.depth - 1]));
  __atomic_fetch_and(leaf, ~Entry::write_mask(), __ATOMIC_SEQ_CST);
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 70); });
  w.actor("B1", [&w, &b] { w.munmap(b, 0, 4); });
  w.finally([&w, pfn] {
    std::uint64_t held = 0;
    __builtin_memcpy(&held, w.memory().window(pfn), sizeof held);
    w.expect(held == 1, "the held page has changed");
    if (w.memory().frame(pfn).put()) w.memory().pool().give(&w.memory().frame(pfn));
  });
}

constexpr Scenario kScenarios[] = {
    {"siblings_unshare", "R3 S0.36 S1.16", "two threads write to different pages of one shared table", siblings_unshare},
    {"siblings_and_exit", "R2 R3 S0.36 S0.38", "two threads write to different pages of one shared table while the other sharer exits",
     siblings_and_exit},
    {"one_page_two_writers", "S4.25 S4.26 S1.16", "two threads write to one shared page", one_page_two_writers},
    {"one_zero_page_two_writers", "R22 S4.26", "two threads write to one page of zeros", one_zero_page_two_writers},
    {"zero_tables", "R22 R3", "two threads write below one zero table, one reads there", zero_tables},
    {"both_sharers_write", "R2 S0.38 S0.48", "both sharers of a table write to the same page of it, one to another page, too",
     both_sharers_write},
    {"push_down", "R9 X2", "a process writes and forks, while its first child writes elsewhere in the table they shared", push_down},
    {"never_empty", "S1.25", "a table is unshared and another one zapped while a processor looks at the entry above", never_empty},
    {"stale_reader", "S1.16 S4.25", "a page is copied for a writer, a second thread writes to the copy, a third reads", stale_reader},
    {"stale_reader_of_zero", "R22", "a zero page is replaced for a writer, a second thread writes to it, a third reads",
     stale_reader_of_zero},
    {"held_page", "R20 S1.14", "a page somebody else holds is mapped only once in the end: a write must copy it", held_page},
};

}  // namespace

std::span<const Scenario> unsharing_scenarios() { return kScenarios; }

}  // namespace quire::explore
