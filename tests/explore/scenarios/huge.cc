// Huge pages: made, shared, copied and cut off while others use them. One is 4 small pages here, and a leaf of a table of level 2.
#include "explore/scenario.h"
#include "quire/object/huge_object.h"

namespace quire::explore {
namespace {

constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;
constexpr std::uint32_t kPrivate = uapi::kMapPrivate | uapi::kMapHugeTlb, kShared = uapi::kMapShared | uapi::kMapHugeTlb;
constexpr unsigned kHuge = 4;

/// The pool makes pages as they are wanted, `pages` at most, and keeps none.
void allow(World& w, std::uint64_t pages) { w.memory().huge().of(Level(2)).set_overcommit(pages); }

void siblings_write_one_huge_page(World& w) {
  allow(w, 1);
  Process& a = w.create("A", 2);
  w.map(a, 0, kHuge, kReadWrite, kPrivate);
  w.watch(0, kHuge);
  w.actor("A1", [&] { w.store(a, 0, 0, 71); });
  w.actor("A2", [&] { w.store(a, 1, 1, 72); });
}

void parent_and_child_write_one_huge_page(World& w) {
  allow(w, 3);
  Process& a = w.create("A");
  w.map(a, 0, kHuge, kReadWrite, kPrivate);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  w.actor("A1", [&] { w.store(a, 0, 0, 71); });
  w.actor("B1", [&] { w.store(b, 0, 0, 72); });
}

void siblings_copy_one_huge_page(World& w) {
  allow(w, 3);
  Process& a = w.create("A", 2);
  w.map(a, 0, kHuge, kReadWrite, kPrivate);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.touch(a, 1, 0, 1);
  w.watch(0, 2);
  w.actor("A1", [&] { w.store(a, 0, 0, 71); });
  w.actor("A2", [&] { w.store(a, 1, 1, 72); });
  w.actor("B1", [&] { w.load(b, 0, 0); });
}

void fork_and_write_huge_page(World& w) {
  allow(w, 3);
  Process& a = w.create("A", 2);
  w.map(a, 0, kHuge, kReadWrite, kPrivate);
  w.fill(a, 0, 2);
  Process& b = w.unborn("B");
  w.watch(0, 2);
  w.actor("A1", [&] { w.fork_to(a, b); });
  w.actor("A2", [&] { w.store(a, 1, 0, 71); });
}

void exit_and_write_huge_page(World& w) {
  allow(w, 3);
  Process& a = w.create("A");
  w.map(a, 0, kHuge, kReadWrite, kPrivate);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  w.actor("A1", [&] { w.store(a, 0, 0, 71); });
  w.actor("B1", [&] { w.exit(b); });
}

void two_fill_one_huge_page(World& w) {
  allow(w, 2);
  Process& a = w.create("A");
  w.map(a, 0, kHuge, kReadWrite, kShared);
  Process& b = w.fork(a, "B");
  w.watch_shared(0, 2);
  w.actor("A1", [&] { w.store(a, 0, 0, 71); });
  w.actor("B1", [&] { w.store(b, 0, 1, 72); });
}

/// The first huge page of a process' shared memory becomes a hole.
void remove(World& w, Process& process) {
  w.act("remove", [&process] {
    static_cast<void>(process.space->madvise(World::at(0), World::bytes(kHuge), uapi::kMadvRemove));
    return "done";
  });
}

void punch_and_fill_huge_page(World& w) {
  allow(w, 2);
  Process& a = w.create("A", 2);
  w.map(a, 0, kHuge, kReadWrite, kShared);
  w.fill(a, 0, 1);
  w.watch_shared(0, 1);
  w.actor("A1", [&] { remove(w, a); });
  w.actor("A2", [&] { w.store(a, 1, 0, 71); });
}

/// A writes a huge page of shared memory, and B makes it a hole while `body(a)` runs.
template <typename Body>
void punch_during(World& w, Body body) {
  allow(w, 2);
  Process& a = w.create("A");
  w.map(a, 0, kHuge, kReadWrite, kShared);
  Process& b = w.fork(a, "B");
  w.fill(a, 0, 1);
  w.actor("B1", [&w, &b] { remove(w, b); });
  w.actor("A1", [body, &a] { body(a); });
}

void punch_and_unmap_huge_page(World& w) {
  punch_during(w, [&w](Process& a) { w.munmap(a, 0, kHuge); });
}

void punch_and_mremap_huge_page(World& w) {
  w.watch_shared(16, 1);
  punch_during(w, [&w](Process& a) { w.mremap(a, 0, kHuge, 16); });
}

void punch_and_fork_huge_page(World& w) {
  Process& c = w.unborn("C");
  w.watch_shared(0, 1);
  punch_during(w, [&w, &c](Process& a) {
    a.space->set_fork_mode(ForkMode::kCopy);
    w.fork_to(a, c);
  });
}

/// A has the only huge page promised, and shares it with B; it writes there while `body(b)` runs.
template <typename Body>
void take_back_during(World& w, Body body) {
  allow(w, 1);
  Process& a = w.create("A");
  w.map(a, 0, kHuge, kReadWrite, kPrivate);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  w.watch(0, 1);
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 71); });
  w.actor("B1", [body, &b] { body(b); });
}

void take_back_and_load(World& w) {
  take_back_during(w, [&w](Process& b) { w.load(b, 0, 0); });
}

void take_back_and_store(World& w) {
  take_back_during(w, [&w](Process& b) { w.store(b, 0, 0, 72); });
}

void take_back_and_unmap(World& w) {
  take_back_during(w, [&w](Process& b) { w.munmap(b, 0, kHuge); });
}

void take_back_and_mremap(World& w) {
  w.watch(16, 1);
  take_back_during(w, [&w](Process& b) { w.mremap(b, 0, kHuge, 16); });
}

void take_back_and_fork(World& w) {
  Process& c = w.unborn("C");
  take_back_during(w, [&w, &c](Process& b) {
    b.space->set_fork_mode(ForkMode::kCopy);
    w.fork_to(b, c);
  });
}

constexpr Scenario kScenarios[] = {
    {"siblings_write_one_huge_page", "S2.51", "two threads write one huge page for the first time, and the pool has one",
     siblings_write_one_huge_page},
    {"parent_and_child_write_one_huge_page", "S2.51 R2", "parent and child write a huge page that a fork has shared",
     parent_and_child_write_one_huge_page},
    {"siblings_copy_one_huge_page", "S2.51 R3", "two threads write a huge page that their child reads", siblings_copy_one_huge_page},
    {"fork_and_write_huge_page", "S2.51 R6", "a thread writes a huge page while its sibling forks", fork_and_write_huge_page},
    {"exit_and_write_huge_page", "S2.51 R1", "a parent writes a huge page while the child that shares it exits", exit_and_write_huge_page},
    {"two_fill_one_huge_page", "S2.51 R11", "two processes write one huge page of shared memory for the first time",
     two_fill_one_huge_page},
    {"punch_and_fill_huge_page", "S2.51 R12", "a thread writes a huge page while its sibling makes it a hole", punch_and_fill_huge_page},
    {"punch_and_unmap_huge_page", "S2.51 R12 R24", "a huge page of shared memory becomes a hole while a process unmaps it",
     punch_and_unmap_huge_page},
    {"punch_and_mremap_huge_page", "S2.51 R12 R15", "a huge page of shared memory becomes a hole while a process moves it",
     punch_and_mremap_huge_page},
    {"punch_and_fork_huge_page", "S2.51 R12 R13", "a huge page of shared memory becomes a hole while a fork copies its entry",
     punch_and_fork_huge_page},
    {"take_back_and_load", "S2.51", "the owner of a huge page takes it back from its child, which reads it", take_back_and_load},
    {"take_back_and_store", "S2.51 R11", "… which writes it, and there is no other", take_back_and_store},
    {"take_back_and_unmap", "S2.51 R24", "… which unmaps it", take_back_and_unmap},
    {"take_back_and_mremap", "S2.51 R15", "… which moves it", take_back_and_mremap},
    {"take_back_and_fork", "S2.51 R13", "… which forks", take_back_and_fork},
};

}  // namespace

std::span<const Scenario> huge_scenarios() { return kScenarios; }

}  // namespace quire::explore
