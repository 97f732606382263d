#include "quire/rmap/poison.h"

#include "quire/rmap/rmap.h"
#include "quire/table/tree.h"

namespace quire {

namespace {

// False: it was marked before.
bool mark(Frame& frame) {
  const SpinGuard guard(frame.lock, LockRank::kFrame, frame.key());
  if (frame.has_flag(Frame::kPoisoned)) return false;
  frame.flags = static_cast<std::uint16_t>(frame.flags | Frame::kPoisoned);
  return true;
}

Entry poison_of(Entry entry, const Frame& page) { return page.is_large() ? entry.as_large_poison() : entry.as_poison(); }

// Pre: the caller holds `page`, which nobody else begins to map. The table `keeper`, if any, keeps its entry.
void take_from_all_but(MemoryManager& memory, Frame& page, const Frame* keeper) {
  const ObjectHold object(memory, page);
  if (object.get() == nullptr) return;
  std::uint32_t leaves = 0;
  FrameBracket bracket(memory.notifiers(), memory.pfn_of(page), memory.size_of(page));
  for_each_entry(memory, *object.get(), page, [&](const TableView& table, Slot slot, Entry entry, EntryKind kind) {
    if (&table.frame() == keeper) return;
    while (!exchange_in_place(table, slot, entry, poison_of(entry, page))) entry = table.entry(slot);
    drop_attached_page(memory, table.frame(), page, slot);
    if (kind == EntryKind::kFrame) {
      ++leaves;
    } else {
      static_cast<void>(page.drop_moving());  // a move that cannot succeed now, since we hold the page
    }
  });
  if (leaves == 0) return;
  memory.flush_all(FlushRequest::Depth::kLeavesOnly);
  bracket.invalidate();
  for (; leaves != 0; --leaves) static_cast<void>(page.drop_leaf());
}

}  // namespace

Result<void> poison_frame(MemoryManager& memory, Pfn pfn) {
  if (pfn.raw() >= memory.config().frames.raw()) return fail(Errno::kInval);
  Frame& frame = memory.frame(pfn);
  if (frame.try_get()) {
    Result<void> done{};
    if (!frame.is_page() || frame.is_large()) {
      done = fail(Errno::kBusy);
    } else if (mark(frame)) {
      take_from_all_but(memory, frame, nullptr);  // what maps it from now on looks at the mark after it can be found here
      memory.counters().add(Counter::kPoisoned);
    }
    if (frame.put()) memory.pool().give(&frame);
    return done;
  }
  if (frame.kind == FrameKind::kUntouched) return fail(Errno::kInval);
  if (frame.kind == FrameKind::kFailed) return {};
  if (frame.kind != FrameKind::kFree || !memory.pool().retire_free(frame)) return fail(Errno::kBusy);
  return {};
}

void take_from_others(MemoryManager& memory, Frame& page, const Frame& keeper) {
  QUIRE_ASSERT(page.is_large(), "S2.51: only huge pages are taken back");
  take_from_all_but(memory, page, &keeper);
}

}  // namespace quire
