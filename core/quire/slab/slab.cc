#include "quire/slab/slab.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"

namespace quire {

void SlabPool::init(MemoryManager& memory, const char* name, std::uint32_t size) {
  memory_ = &memory;
  name_ = name;
  const std::uint32_t alignment = size > 32 ? 16 : 8;
  size_ = (size + alignment - 1) / alignment * alignment;
  per_frame_ = static_cast<std::uint32_t>(kPageSize) / size_;
}

void SlabPool::link(Frame& frame) {
  frame.slab.previous = nullptr;
  frame.slab.next = partial_;
  if (partial_ != nullptr) partial_->slab.previous = &frame;
  partial_ = &frame;
}

void SlabPool::unlink(Frame& frame) {
  if (frame.slab.previous != nullptr) {
    frame.slab.previous->slab.next = frame.slab.next;
  } else {
    partial_ = frame.slab.next;
  }
  if (frame.slab.next != nullptr) frame.slab.next->slab.previous = frame.slab.previous;
}

void* SlabPool::take_or_null() {
  if (memory_->pool().should_fail()) return nullptr;
  SpinGuard guard(lock_, LockRank::kSlab);
  Frame* frame = partial_;
  if (frame == nullptr) {
    frame = memory_->pool().take_or_null(FrameUse::kKernel);
    if (frame == nullptr) return nullptr;
    frame->kind = FrameKind::kSlab;
    frame->slab = Frame::Slab{this, nullptr, nullptr, 0, 0, 0};
    link(*frame);
  }
  std::byte* base = memory_->window(memory_->pfn_of(*frame));
  std::uint32_t number = 0;
  if (frame->slab.first_free != 0) {
    number = frame->slab.first_free - 1U;
    frame->slab.first_free = *reinterpret_cast<std::uint16_t*>(base + number * size_);
  } else {
    number = frame->slab.fresh++;
  }
  ++in_use_;
  if (++frame->slab.in_use == per_frame_) unlink(*frame);
  return base + number * size_;
}

void SlabPool::give(void* object) {
  const auto offset = static_cast<std::uint64_t>(static_cast<std::byte*>(object) - memory_->window(Pfn(0)));
  Frame& frame = memory_->frame(Pfn(offset >> kPageShift));
  QUIRE_ASSERT(frame.kind == FrameKind::kSlab && frame.slab.pool == this, "an object given to the wrong pool");
  const std::uint32_t number = static_cast<std::uint32_t>(offset & (kPageSize - 1)) / size_;
  Frame* gone = nullptr;
  {
    SpinGuard guard(lock_, LockRank::kSlab);
    *static_cast<std::uint16_t*>(object) = frame.slab.first_free;
    frame.slab.first_free = static_cast<std::uint16_t>(number + 1);
    --in_use_;
    if (frame.slab.in_use-- == per_frame_) link(frame);
    // One empty frame stays for the next object, if it is the only one with room; with the last object all go.
    const auto give_back = [&](Frame& empty) TA_REQ(lock_) {
      unlink(empty);
      empty.slab.next = gone;
      gone = &empty;
    };
    if (frame.slab.in_use == 0 && (partial_ != &frame || frame.slab.next != nullptr)) give_back(frame);
    while (in_use_ == 0 && partial_ != nullptr) give_back(*partial_);
  }
  while (gone != nullptr) {
    Frame* const next = gone->slab.next;
    memory_->pool().give(gone);
    gone = next;
  }
}

}  // namespace quire
