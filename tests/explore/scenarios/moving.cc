// mremap, while others use the memory that moves or the tables it moves from.
#include "explore/scenario.h"

namespace quire::explore {
namespace {

// Single leaves: source and target lie differently in their tables.
void move_and_load(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  w.touch(a, 1, 0, 1);
  w.watch(0, 10);
  w.actor("A1", [&w, &a] {
    w.mremap(a, 0, 1, 9);
    w.store(a, 0, 9, 61);
  });
  w.actor("A2", [&w, &a] { w.load(a, 1, 0); });
}

// A whole table, by its pointer.
void move_table_and_store(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  w.touch(a, 1, 0, 1);
  w.watch(0, 10);
  w.actor("A1", [&w, &a] {
    w.mremap(a, 0, 4, 8);
    w.load(a, 0, 8);
  });
  w.actor("A2", [&w, &a] {
    w.store(a, 1, 0, 62);
    w.load(a, 1, 0);
  });
}

void move_and_fault(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.watch(0, 10);
  w.actor("A1", [&w, &a] { w.mremap(a, 0, 2, 9); });
  w.actor("A2", [&w, &a] {
    w.store(a, 1, 1, 62);
    w.store(a, 1, 10, 63);
  });
}

// The tables are shared: what moves in one process stays in the other.
void move_and_sharer(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 10);
  w.actor("A1", [&w, &a] {
    w.mremap(a, 0, 1, 9);
    w.store(a, 0, 9, 61);
  });
  w.actor("B1", [&w, &b] {
    w.store(b, 0, 0, 71);
    w.load(b, 0, 0);
  });
}

void move_table_and_sharer(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 10);
  w.actor("A1", [&w, &a] {
    w.mremap(a, 0, 4, 8);
    w.store(a, 0, 8, 61);
  });
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 71); });
}

void move_and_exit(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 10);
  w.actor("A1", [&w, &a] { w.mremap(a, 0, 2, 9); });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

constexpr Scenario kScenarios[] = {
    {"move_and_load", "R16 S0.61 S2.35 I7", "a leaf moves while a sibling remembers its old place", move_and_load},
    {"move_table_and_store", "R16 S0.61 S2.35 I7", "a whole table moves while a sibling stores through its old place",
     move_table_and_store},
    {"move_and_fault", "S0.61 S0.37 S2.35", "pages move while a sibling faults in others of them", move_and_fault},
    {"move_and_sharer", "S0.61 I2", "a leaf leaves a table that another process shares", move_and_sharer},
    {"move_table_and_sharer", "S0.61 I2", "a table moves that another process shares", move_table_and_sharer},
    {"move_and_exit", "S0.61 R1", "leaves move while the other sharer of their table exits", move_and_exit},
};

}  // namespace

std::span<const Scenario> moving_scenarios() { return kScenarios; }

}  // namespace quire::explore
