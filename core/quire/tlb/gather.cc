#include "quire/tlb/gather.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/tree.h"

namespace quire {

Gather::Gather(AddressSpace& space) : space_(space) {
  if (MmuNotifiers& notifiers = space.memory_.notifiers(); notifiers.any()) [[unlikely]] open_ = notifiers.begin(&space);
}

void Gather::close() { space_.memory_.notifiers().end(open_); }

void Gather::flush_range(VirtRange range, FlushRequest::Depth depth) {
  if (!flush_) {
    range_ = range;
  } else {
    const VirtAddr begin = range.begin() < range_.begin() ? range.begin() : range_.begin();
    const VirtAddr end = range_.end() < range.end() ? range.end() : range_.end();
    range_ = VirtRange(begin, end);
  }
  flush_ = true;
  if (depth == FlushRequest::Depth::kTablesToo) depth_ = depth;
}

void Gather::drop_table(Frame& table, VirtRange span) {
  QUIRE_ASSERT(tables_ < kTables, "a gather's tables overflow");
  table_[tables_++] = &table;
  flush_range(span, FlushRequest::Depth::kTablesToo);
}

void Gather::drop_frame(Frame& frame, VirtRange mapped) {
  QUIRE_ASSERT(frames_ < kFrames, "a gather's frames overflow");
  frame_[frames_++] = &frame;
  flush_range(mapped, FlushRequest::Depth::kLeavesOnly);
}

void Gather::flush_and_release() {
  MemoryManager& memory = space_.memory_;
  memory.counters().add(Counter::kFlush);
  platform::flush(memory.machine(), space_.tlb_, FlushRequest{range_, depth_});
  if (memory.notifiers().any()) [[unlikely]] memory.notifiers().invalidate(space_, range_, open_);
  if (frames_ + tables_ != 0) memory.counters().add(Counter::kFlushDeferredDrop, frames_ + tables_);
  while (frames_ != 0) {
    Frame* frame = frame_[--frames_];
    if (frame->drop_leaf()) memory.pool().give(frame);
  }
  while (tables_ != 0) release_table(memory, *table_[--tables_]);
  flush_ = false;
  depth_ = FlushRequest::Depth::kLeavesOnly;
}

}  // namespace quire
