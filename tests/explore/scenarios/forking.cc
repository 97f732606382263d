// fork while others store, fault, fork and exit: a child is its parent at one instant.
#include "explore/scenario.h"

namespace quire::explore {
namespace {

constexpr WorldConfig kLeafMode{.fork_mode = ForkMode::kLeaf};
constexpr WorldConfig kCopyMode{.fork_mode = ForkMode::kCopy};

void fork_and_store(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 8);
  w.fill(a, 0, 1);
  w.fill(a, 4, 1);
  w.touch(a, 1, 0, 1);
  Process& c = w.unborn("C");
  if (!a.cpus[1]->store(World::at(0), std::uint64_t{1})) w.expect(false, "set-up");  // cached as writable and dirty
  w.watch(0, 1);
  w.watch(4, 1);
  w.actor("A1", [&] {
    w.fork_to(a, c);
    w.load(c, 0, 0);
  });
  w.actor("A2", [&] {
    w.store(a, 1, 0, 70);
    w.store(a, 1, 4, 71);
  });
}

void fork_and_reuse(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  b.cpus[0]->stop();
  b.space.reset();  // A's tables are its own again, but not writable
  Process& c = w.unborn("C");
  w.watch(0, 1);
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&w, &a, &c] { w.fork_to(a, c); });
}

void forks_and_fault(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  Process& c = w.fork(a, "C");
  Process& d = w.unborn("D");
  Process& e = w.unborn("E");
  w.watch(0, 1);
  w.actor("A1", [&w, &a, &d] { w.fork_to(a, d); });
  w.actor("B1", [&w, &b, &e] { w.fork_to(b, e); });
  w.actor("C1", [&w, &c] { w.store(c, 0, 0, 70); });
}

void fork_and_munmap(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 8);
  w.fill(a, 0, 8);
  Process& c = w.unborn("C");
  w.watch(0, 8);
  w.actor("A1", [&] { w.fork_to(a, c); });
  w.actor("A2", [&] { w.munmap(a, 1, 5); });
}

void fork_and_exits(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  Process& c = w.unborn("C");
  w.watch(0, 1);
  w.actor("A1", [&w, &a, &c] {
    w.fork_to(a, c);
    w.exit(a);
  });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

void two_forks(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& c = w.unborn("C");
  Process& d = w.unborn("D");
  w.watch(0, 1);
  w.actor("A1", [&] { w.fork_to(a, c); });
  w.actor("A2", [&] {
    w.fork_to(a, d);
    w.store(a, 1, 0, 70);
  });
}

void fork_special(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 4);
  if (!a.space->madvise(World::at(1), World::bytes(1), uapi::kMadvDontFork)) w.expect(false, "set-up");
  if (!a.space->madvise(World::at(2), World::bytes(1), uapi::kMadvWipeOnFork)) w.expect(false, "set-up");
  Process& c = w.unborn("C");
  w.watch(0, 4);
  w.actor("A1", [&] { w.fork_to(a, c); });
  w.actor("A2", [&] { w.store(a, 1, 2, 70); });
}

constexpr Scenario kScenarios[] = {
    {"fork_and_store", "R6 S0.13 S0.15 S0.25", "fork while a sibling stores twice, once through a writable translation it has cached",
     fork_and_store},
    {"fork_and_store_leaf", "R6 S0.15 S0.25", "the same where fork shares leaf tables only", fork_and_store, kLeafMode},
    {"fork_and_store_copy", "R6 S0.15 S0.25", "the same where fork copies all tables", fork_and_store, kCopyMode},
    {"fork_and_reuse", "R8 S0.48", "a write fault takes over a table that is its own again while a sibling forks", fork_and_reuse},
    {"fork_and_reuse_leaf", "R8 S0.48", "the same where fork shares leaf tables only", fork_and_reuse, kLeafMode},
    {"forks_and_fault", "S0.5", "two sharers of a table fork while the third writes", forks_and_fault},
    {"fork_and_munmap", "S0.24 S0.51", "fork while a sibling unmaps a part of two tables", fork_and_munmap},
    {"fork_and_exits", "S0.5 S0.6", "a process forks and exits while the other sharer exits", fork_and_exits},
    {"two_forks", "R6 R8 S0.20", "two siblings fork, then one of them stores", two_forks},
    {"fork_special", "S0.16", "fork with pages the child must not get, while a sibling writes one of them", fork_special},
};

}  // namespace

std::span<const Scenario> forking_scenarios() { return kScenarios; }

}  // namespace quire::explore
