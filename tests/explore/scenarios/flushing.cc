// Translations that outlive what they say: nothing is released or handed on while a CPU may still use it (I7).
#include "explore/scenario.h"

namespace quire::explore {
namespace {

constexpr WorldConfig kTablesOnly{.caches = CachePolicy::kTablesOnly};

void detach_and_release(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  w.touch(a, 1, 0, 1);
  w.watch(0, 1);
  w.actor("A1", [&w, &a] { w.munmap(a, 0, 4); });
  w.actor("A2", [&w, &a] { w.load(a, 1, 0); });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

void leave_by_copy(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 8);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.touch(a, 1, 0, 1);
  w.watch(0, 1);
  w.watch(4, 1);
  w.actor("A1", [&w, &a] { w.munmap(a, 1, 1); });
  w.actor("A2", [&w, &a] { w.load(a, 1, 4); });
  w.actor("B1", [&w, &b] { w.store(b, 0, 4, 99); });
}

void mprotect_and_store(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 8);
  w.fill(a, 0, 1);
  w.fill(a, 4, 1);
  if (!a.cpus[1]->store(World::at(0), std::uint64_t{1})) w.expect(false, "set-up");
  w.watch(0, 1);
  w.watch(4, 1);
  w.actor("A1", [&] {
    w.mprotect(a, 0, 4, uapi::kProtRead);
    w.store(a, 0, 4, 61);
  });
  w.actor("A2", [&] {
    w.load(a, 1, 4);
    w.store(a, 1, 0, 70);
  });
}

void mprotect_shared(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  w.actor("A1", [&w, &a] { w.mprotect(a, 0, 1, uapi::kProtRead); });
  w.actor("A2", [&w, &a] { w.store(a, 1, 0, 70); });
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 71); });
}

void no_access_and_load(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.touch(a, 1, 0, 1);
  w.watch(0, 1);
  w.actor("A1", [&] {
    w.mprotect(a, 0, 4, 0);
    w.mprotect(a, 0, 4, uapi::kProtRead | uapi::kProtWrite);
  });
  w.actor("A2", [&] {
    w.store(a, 1, 0, 70);
    w.load(a, 1, 0);
  });
}

void dont_need_and_access(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 6);
  w.fill(a, 0, 1);
  w.touch(a, 1, 0, 1);
  w.watch(0, 2);
  w.actor("A1", [&] { w.dont_need(a, 0, 1); });  // the table is empty then
  w.actor("A2", [&] {
    w.load(a, 1, 0);
    w.store(a, 1, 1, 71);
    w.load(a, 1, 0);
  });
}

void unmap_all_and_access(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 8);
  w.fill(a, 0, 8);
  w.touch(a, 1, 0, 1);
  w.watch(0, 1);
  w.actor("A1", [&] {
    w.munmap(a, 0, 8);
    w.mmap(a, 0, 8);
    w.store(a, 0, 1, 61);
  });
  w.actor("A2", [&] {
    w.load(a, 1, 1);
    w.load(a, 1, 0);
  });
}

void exit_and_idle_cpu(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.touch(a, 1, 0, 1);
  a.cpus[1]->idle();  // keeps the root loaded
  w.actor("A1", [&] {
    w.act("exit", [&] {
      a.cpus[0]->stop();
      a.space.reset();
      return "ok";
    });
  });
  w.actor("CPU", [&] {
    w.act("speculate", [&] {
      a.cpus[1]->speculate(World::at(1));
      a.cpus[1]->speculate(World::at(0));
      return "ok";
    });
  });
}

void switch_and_flush(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.create("B");
  w.touch(a, 1, 0, 1);
  a.cpus[1]->run(b.space);  // what was cached of A stays, by its tag
  w.watch(0, 1);
  w.actor("A1", [&] { w.munmap(a, 0, 4); });
  w.actor("CPU", [&] {
    w.act("switch", [&] {
      a.cpus[1]->run(a.space);
      return "ok";
    });
    w.load(a, 1, 0);
  });
}

constexpr Scenario kScenarios[] = {
    {"detach_and_release", "R4 S0.29 S2.48", "a table is detached, the other sharer exits, a sibling loads through what it has cached",
     detach_and_release},
    {"leave_by_copy", "R4 S0.46 S2.48",
     "a table is left by copy, the other sharer fills a slot of it, a sibling walks through what it has cached", leave_by_copy},
    {"leave_by_copy_walks", "R4 S0.46", "the same with CPUs that cache upper entries only", leave_by_copy, kTablesOnly},
    {"mprotect_and_store", "S1.24 S1.16", "write permission is taken away, then a flag is set; a sibling that sees the flag stores",
     mprotect_and_store},
    {"mprotect_shared", "S1.24 R2", "mprotect in a shared table while a sibling and the other sharer store there", mprotect_shared},
    {"no_access_and_load", "S1.16", "access is taken away and given back while a sibling stores and loads", no_access_and_load},
    {"dont_need_and_access", "R25 S1.25", "a table becomes empty and is freed while a sibling faults in it", dont_need_and_access},
    {"unmap_all_and_access", "R25 S0.32", "tables are unmapped and mapped anew while a sibling loads", unmap_all_and_access},
    {"exit_and_idle_cpu", "R25", "a process exits while an idle CPU still has its root loaded and speculates", exit_and_idle_cpu},
    {"switch_and_flush", "S2.24", "a CPU switches back to a process while its memory is unmapped", switch_and_flush},
};

}  // namespace

std::span<const Scenario> flushing_scenarios() { return kScenarios; }

}  // namespace quire::explore
