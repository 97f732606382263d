// Walks from an object to the tables that map its pages, while tables come and go.
//
// The walk does what migration will do: it changes each entry it meets under the table's lock. The change is a mark in a bit that hardware
// and core leave alone; copies of a marked entry are marked. So after a walk that met everything, no entry of the page is without a mark.
#include "explore/scenario.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

constexpr std::uint64_t kMark = std::uint64_t{1} << 56;  // ignored by the processor (Intel SDM 3A table 4-20)

std::uint64_t* entry_of(World& w, const Frame& table, Slot slot) {
  return reinterpret_cast<std::uint64_t*>(w.memory().contents(table)) + slot;
}

/// A page of a process and its object, kept alive for the walk.
struct Target {
  MemoryObject* object;
  Pfn pfn;
  PageIndex index;
};

Target target(World& w, Process& process, unsigned page) {
  const Pfn pfn = test::path_to(*process.space, World::at(page)).leaf;
  const Frame& frame = w.memory().frame(pfn);
  frame.page.object->add_user();
  w.finally([object = frame.page.object] { object->drop_user(); });
  return {frame.page.object, pfn, PageIndex(frame.page.index)};
}

/// Marks every entry of the page that the walk meets; complains of tables that are none.
void mark_all(World& w, const Target& page) {
  page.object->for_each_table(page.index, [&](Frame& table, Slot slot) {
    bool is_attached = (table.kind == FrameKind::kTable || table.is_lent()) && table.level == kLeafLevel;
    if (is_attached) {
      const Attachment* a = table.table.attachments;
      while (a != nullptr && a->object != page.object) a = a->next_in_table;
      is_attached = a != nullptr;
    }
    w.expect(is_attached, "R25: the walk meets a table that is not attached any more");
    std::uint64_t* const entry = entry_of(w, table, slot);
    hooks::yield_point("replace", entry);
    const Entry seen = Entry::decoded(__atomic_load_n(entry, __ATOMIC_ACQUIRE));
    if (!seen.present() || seen.pfn() != page.pfn) return true;
    w.expect(w.memory().frame(page.pfn).kind == FrameKind::kAnon, "R24: the walk meets an entry of a page that was freed");
    __atomic_fetch_or(entry, kMark, __ATOMIC_SEQ_CST);
    return true;
  });
}

/// Whether some entry of `process` for the page is without a mark.
void expect_marked(World& w, Process& process, const Target& page, unsigned number) {
  if (!process.space) return;
  const test::Path path = test::path_to(*process.space, World::at(number));
  if (!path.has_leaf || path.leaf != page.pfn) return;
  const Frame& table = w.memory().frame(path.tables[path.depth - 1]);
  const Slot slot = w.memory().geometry().slot_of(World::at(number), kLeafLevel);
  w.expect((*entry_of(w, table, slot) & kMark) != 0, "R13: the walk missed the entry of " + process.name);
}

void walk_and_unshare(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  const Target page = target(w, a, 0);
  w.watch(0, 2);
  w.actor("walk", [&w, page] { w.act("walk", [&w, page] { mark_all(w, page); return "ok"; }); });
  w.actor("B1", [&w, &b] { w.store(b, 0, 1, 71); });
  w.finally([&w, &a, &b, page] {
    expect_marked(w, a, page, 0);
    expect_marked(w, b, page, 0);
  });
}

void walk_and_two_unshare(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  Process& c = w.fork(a, "C");
  const Target page = target(w, a, 0);
  w.watch(0, 2);
  w.actor("walk", [&w, page] { w.act("walk", [&w, page] { mark_all(w, page); return "ok"; }); });
  w.actor("B1", [&w, &b] { w.store(b, 0, 1, 71); });
  w.actor("C1", [&w, &c] { w.store(c, 0, 1, 72); });
  w.finally([&w, &a, &b, &c, page] {
    for (Process* each : {&a, &b, &c}) expect_marked(w, *each, page, 0);
  });
}

void walk_and_fork_copy(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& c = w.unborn("C");
  const Target page = target(w, a, 0);
  w.watch(0, 2);
  w.actor("walk", [&w, page] { w.act("walk", [&w, page] { mark_all(w, page); return "ok"; }); });
  w.actor("A1", [&w, &a, &c] { w.fork_to(a, c); });
  w.finally([&w, &a, &c, page] {
    expect_marked(w, a, page, 0);
    expect_marked(w, c, page, 0);
  });
}

void walk_and_unmap(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  const Target page = target(w, a, 0);
  w.watch(0, 4);
  w.actor("walk", [&w, page] { w.act("walk", [&w, page] { mark_all(w, page); return "ok"; }); });
  w.actor("A1", [&w, &a] {
    w.munmap(a, 0, 4);
    w.mmap(a, 0, 3);
    w.store(a, 0, 1, 61);  // takes the frames that were freed
  });
}

void walk_and_exit(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.fill(b, 1, 1);  // B has a copy of the table
  const Target page = target(w, a, 0);
  w.actor("walk", [&w, page] { w.act("walk", [&w, page] { mark_all(w, page); return "ok"; }); });
  w.actor("A1", [&w, &a] { w.exit(a); });
  w.actor("B1", [&w, &b] { w.exit(b); });
}

// The leaf goes to a table that the walk would have met before the old one.
void walk_and_move(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  const Target page = target(w, a, 0);
  w.watch(0, 2);
  w.actor("walk", [&w, page] { w.act("walk", [&w, page] { mark_all(w, page); return "ok"; }); });
  w.actor("A1", [&w, &a] { w.mremap(a, 0, 1, 9); });
  w.finally([&w, &a, page] {
    expect_marked(w, a, page, 0);
    expect_marked(w, a, page, 9);
  });
}

constexpr WorldConfig kCopyMode{.fork_mode = ForkMode::kCopy};

constexpr Scenario kScenarios[] = {
    {"walk_and_unshare", "R13 S0.38", "a walk from an object while a table on it is copied", walk_and_unshare},
    {"walk_and_two_unshare", "R13 S0.38 S2.21", "a walk from an object while two of three sharers copy the table", walk_and_two_unshare},
    {"walk_and_fork_copy", "R13 S4.12", "a walk from an object while fork copies the table", walk_and_fork_copy, kCopyMode},
    {"walk_and_move", "R13 S0.61", "a walk from an object while a leaf goes to another table", walk_and_move},
    {"walk_and_unmap", "R24 R25", "a walk from an object while its table is freed and made another", walk_and_unmap},
    {"walk_and_exit", "R24 R25 S4.28", "a walk from an object while both processes with its tables exit", walk_and_exit},
};

}  // namespace

std::span<const Scenario> walking_scenarios() { return kScenarios; }

}  // namespace quire::explore
