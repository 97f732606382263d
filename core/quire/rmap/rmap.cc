#include "quire/rmap/rmap.h"

#include "quire/platform.h"

namespace quire {

unsigned test_and_clear_young(MemoryManager& memory, Frame& page) {
  unsigned young = 0;
  for_each_entry(memory, page, [&young](const TableView& table, Slot slot, Entry, EntryKind) {
    if (clear_in_place(table, slot, Entry::accessed_mask())) ++young;
  });
  return young;
}

bool collect_dirty(MemoryManager& memory, Frame& page) {
  bool any = false;
  FrameBracket bracket(memory.notifiers(), memory.pfn_of(page));
  for_each_entry(memory, page, [&any](const TableView& table, Slot slot, Entry, EntryKind) {
    if (clear_in_place(table, slot, Entry::dirty_mask())) any = true;
  });
  if (any) {
    {
      const SpinGuard guard(page.lock, LockRank::kFrame, page.key());
      page.flags = static_cast<std::uint16_t>(page.flags | Frame::kDirty);
    }
    // A processor that remembers the flag as set would write without setting it again (P2 "D cleared").
    memory.flush_all(FlushRequest::Depth::kLeavesOnly);
    bracket.invalidate();
  }
  return page.has_flag(Frame::kDirty);
}

void clear_dirty(Frame& page) {
  const SpinGuard guard(page.lock, LockRank::kFrame, page.key());
  page.flags = static_cast<std::uint16_t>(page.flags & ~Frame::kDirty);
}

}  // namespace quire
