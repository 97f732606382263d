// Faults that install something where nothing was.
#include "explore/scenario.h"

namespace quire::explore {
namespace {

void hole_and_layout(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 3);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  w.watch(0, 3);
  w.watch_shared(3, 1);
  w.actor("A1", [&w, &a] {
    w.mmap(a, 3, 1);
    w.load(a, 0, 3);
  });
  w.actor("B1", [&w, &b] {
    w.load(b, 0, 3);
    w.mmap(b, 3, 1, uapi::kProtRead | uapi::kProtWrite, uapi::kMapShared);
    w.store(b, 0, 3, 99);
  });
}

void two_spaces_one_slot(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 3);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  w.actor("A1", [&w, &a] { w.load(a, 0, 1); });
  w.actor("B1", [&w, &b] { w.load(b, 0, 1); });
}

void two_readers_one_slot(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 3);
  w.fill(a, 0, 1);
  const std::uint64_t before = w.memory().counters().sum(Counter::kFrameAlloc);
  w.watch(0, 2);
  w.actor("A1", [&] { w.load(a, 0, 1); });
  w.actor("A2", [&] { w.load(a, 1, 1); });
  w.finally([&w, before] {
    // Each actor's thread took one frame, and gave it back, to fill its cache.
    w.expect(w.memory().counters().sum(Counter::kFrameAlloc) - before == 2, "a read of zeros took a frame");
  });
}

void first_faults(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 8);
  w.watch(0, 8);
  w.actor("A1", [&] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&] { w.store(a, 1, 1, 71); });
}

void reader_and_writer_of_one_slot(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 3);
  w.fill(a, 0, 1);
  w.watch(0, 2);
  w.actor("A1", [&] {
    w.load(a, 0, 1);
    w.load(a, 0, 1);
  });
  w.actor("A2", [&] { w.store(a, 1, 1, 71); });
}

void shared_memory_page(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4, uapi::kProtRead | uapi::kProtWrite, uapi::kMapShared);
  Process& b = w.fork(a, "B");
  w.watch_shared(0, 1);
  w.actor("A1", [&w, &a] {
    w.store(a, 0, 0, 70);
    w.load(a, 0, 0);
  });
  w.actor("B1", [&w, &b] {
    w.store(b, 0, 0, 71);
    w.load(b, 0, 0);
  });
}

void shared_memory_after_fork(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 2, uapi::kProtRead | uapi::kProtWrite, uapi::kMapShared);
  w.map(a, 2, 2);
  w.fill(a, 0, 4);
  Process& b = w.unborn("B");
  w.watch_shared(0, 1);
  w.watch(2, 1);
  w.actor("A1", [&] {
    w.fork_to(a, b);
    w.store(b, 0, 0, 70);
  });
  w.actor("A2", [&] {
    w.store(a, 1, 0, 71);
    w.store(a, 1, 2, 72);
  });
}

void stack_growth(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 12, 4, uapi::kProtRead | uapi::kProtWrite, uapi::kMapPrivate | uapi::kMapGrowsDown);
  w.fill(a, 15, 1);
  w.watch(9, 4);
  w.actor("A1", [&] { w.store(a, 0, 11, 70); });
  w.actor("A2", [&] { w.store(a, 1, 10, 71); });
}

constexpr Scenario kScenarios[] = {
    {"hole_and_layout", "R10 S0.34", "two sharers of a table map different things where it has a hole, and use them", hole_and_layout},
    {"two_spaces_one_slot", "R11 S0.64", "two sharers of a table read the same empty slot", two_spaces_one_slot},
    {"two_readers_one_slot", "S3.15", "two threads read the same untouched page: no frame is taken", two_readers_one_slot},
    {"first_faults", "S4.19", "two threads make a process's first private pages", first_faults},
    {"reader_and_writer_of_one_slot", "R22 S3.15", "one thread reads, another writes an untouched page", reader_and_writer_of_one_slot},
    {"shared_memory_page", "R11 S0.14 S0.35", "two processes make the same page of shared memory", shared_memory_page},
    {"shared_memory_after_fork", "S0.14 S0.25", "fork with shared and private memory in one table, while a sibling stores to both",
     shared_memory_after_fork},
    {"stack_growth", "S0.36", "two threads fault below a stack", stack_growth},
};

}  // namespace

std::span<const Scenario> filling_scenarios() { return kScenarios; }

}  // namespace quire::explore
