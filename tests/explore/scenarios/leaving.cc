// Processes and mappings that leave shared tables: whoever is last releases what they name, once (I6).
#include "explore/scenario.h"

namespace quire::explore {
namespace {

/// A process with two leaf tables of data, and a child that shares them.
struct Family {
  Process& parent;
  Process& child;
};

Family family(World& w, unsigned parent_cpus = 1) {
  Process& a = w.create("A", parent_cpus);
  w.map(a, 0, 8);
  w.fill(a, 0, 8);
  Process& b = w.fork(a, "B");
  w.watch(0, 8);
  return {a, b};
}

void two_unmap(World& w) {
  const auto [a, b] = family(w);
  w.actor("A1", [&w, &a] { w.munmap(a, 0, 8); });
  w.actor("B1", [&w, &b] { w.munmap(b, 0, 8); });
}

void two_exit(World& w) {
  const auto [a, b] = family(w);
  w.actor("A1", [&w, &a] { w.exit(a); });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

void three_exit(World& w) {
  const auto [a, b] = family(w);
  Process& c = w.fork(b, "C");
  w.actor("A1", [&w, &a] { w.exit(a); });
  w.actor("B1", [&w, &b] { w.exit(b); });
  w.actor("C1", [&w, &c] { w.exit(c); });
}

void exit_and_unshare(World& w) {
  const auto [a, b] = family(w);
  w.actor("A1", [&w, &a] { w.store(a, 0, 1, 77); });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

void edges_and_exits(World& w) {
  const auto [a, b] = family(w);
  Process& c = w.fork(a, "C");
  w.actor("A1", [&w, &a] { w.munmap(a, 1, 6); });
  w.actor("B1", [&w, &b] { w.exit(b); });
  w.actor("C1", [&w, &c] { w.exit(c); });
}

void unmap_and_map_again(World& w) {
  const auto [a, b] = family(w);
  w.actor("A1", [&w, &a] {
    w.munmap(a, 0, 8);
    w.mmap(a, 0, 8);
    w.load(a, 0, 1);
  });
  w.actor("B1", [&w, &b] { w.store(b, 0, 1, 77); });
}

void fault_and_munmap(World& w) {
  const auto [a, b] = family(w, 2);
  w.actor("A1", [&w, &a] { w.store(a, 0, 1, 77); });
  w.actor("A2", [&w, &a] { w.munmap(a, 0, 4); });
}

void fault_and_replace(World& w) {
  const auto [a, b] = family(w, 2);
  w.actor("A1", [&w, &a] {
    w.store(a, 0, 1, 77);
    w.load(a, 0, 1);
  });
  w.actor("A2", [&w, &a] { w.mmap(a, 0, 4); });
}

constexpr Scenario kScenarios[] = {
    {"two_unmap", "R1 S0.6 S0.27 S0.28", "two processes that share tables unmap them at the same time", two_unmap},
    {"two_exit", "R1 S0.6 S2.42", "two processes that share all tables exit at the same time", two_exit},
    {"three_exit", "R1 S2.42", "three sharers exit: exactly one is told that it is the last", three_exit},
    {"exit_and_unshare", "R2 S0.6 S0.36 S0.39", "a write fault leaves shared tables while the other sharer exits", exit_and_unshare},
    {"edges_and_exits", "R2 S0.50 S0.51", "munmap with both edges inside shared tables while the other two sharers exit", edges_and_exits},
    {"unmap_and_map_again", "S0.7 S0.27", "one process detaches shared tables and maps anew there; the other writes", unmap_and_map_again},
    {"fault_and_munmap", "S0.36 S0.37", "a write fault in a shared table while a sibling thread unmaps it", fault_and_munmap},
    {"fault_and_replace", "S0.37", "a write fault and a load while a sibling thread maps something else there", fault_and_replace},
};

}  // namespace

std::span<const Scenario> leaving_scenarios() { return kScenarios; }

}  // namespace quire::explore
