#include "quire/slab/slab.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"

namespace quire {

namespace {

constexpr std::uint8_t kPoison = 0xeb;  // makes a count negative

/// Whether an object that was given back is as it was then, but for the link in its first bytes.
bool is_untouched(const std::byte* object, std::uint32_t size) {
  for (std::uint32_t n = sizeof(std::uint16_t); n < size; ++n) {
    if (object[n] != std::byte{kPoison}) return false;
  }
  return true;
}

}  // namespace

void SlabPool::init(MemoryManager& memory, const char* name, std::uint32_t size) {
  memory_ = &memory;
  name_ = name;
  const std::uint32_t alignment = size > 32 ? 16 : 8;
  size_ = (size + alignment - 1) / alignment * alignment;
  per_frame_ = static_cast<std::uint32_t>(kPageSize) / size_;
}

std::uint64_t SlabPool::in_use() const {
  std::uint64_t total = 0;
  for (const Share& share : shares_) total += share.in_use;
  return total;
}

unsigned SlabPool::cpu_of(const MemoryManager& memory, const void* address) {
  const auto offset = reinterpret_cast<std::uint64_t>(address) - reinterpret_cast<std::uint64_t>(memory.window(Pfn(0)));
  const Pfn pfn(offset >> kPageShift);
  return pfn.raw() < memory.config().frames.raw() ? memory.frame(pfn).slab_cpu % platform::kMaxCpus : 0;
}

void SlabPool::Share::link(Frame& frame) {
  frame.slab.previous = nullptr;
  frame.slab.next = partial;
  if (partial != nullptr) partial->slab.previous = &frame;
  partial = &frame;
}

void SlabPool::Share::unlink(Frame& frame) {
  if (frame.slab.previous != nullptr) {
    frame.slab.previous->slab.next = frame.slab.next;
  } else {
    partial = frame.slab.next;
  }
  if (frame.slab.next != nullptr) frame.slab.next->slab.previous = frame.slab.previous;
}

// What is rarely needed is in functions of its own, so that the rest saves no registers for it.
[[gnu::noinline]] Frame* SlabPool::add_frame(Share& share, unsigned cpu) {
  Frame* const frame = memory_->pool().take_or_null(FrameUse::kKernel);
  if (frame == nullptr) return nullptr;
  frame->kind = FrameKind::kSlab;
  frame->slab_cpu = cpu;
  frame->slab = Frame::Slab{this, nullptr, nullptr, 0, 0, 0};
  share.link(*frame);
  return frame;
}

void* SlabPool::take_or_null() {
  if (memory_->pool().should_fail()) return nullptr;
  const unsigned cpu = platform::current_cpu();
  Share& share = shares_[cpu];
  SpinGuard guard(share.lock, LockRank::kSlab);
  Frame* frame = share.partial;
  if (frame == nullptr) [[unlikely]] {
    frame = add_frame(share, cpu);
    if (frame == nullptr) return nullptr;
  }
  std::byte* base = memory_->window(memory_->pfn_of(*frame));
  std::uint32_t number = 0;
  if (frame->slab.first_free != 0) {
    number = frame->slab.first_free - 1U;
    QUIRE_ASSERT(!memory_->config().poison_freed || is_untouched(base + number * size_, size_), "a small object was written to when gone");
    frame->slab.first_free = *reinterpret_cast<std::uint16_t*>(base + number * size_);
  } else {
    number = frame->slab.fresh++;
  }
  share.in_use = share.in_use + 1;
  if (++frame->slab.in_use == per_frame_) share.unlink(*frame);
  return base + number * size_;
}

void SlabPool::give(void* object) {
  const auto offset = static_cast<std::uint64_t>(static_cast<std::byte*>(object) - memory_->window(Pfn(0)));
  Frame& frame = memory_->frame(Pfn(offset >> kPageShift));
  QUIRE_ASSERT(frame.kind == FrameKind::kSlab && frame.slab.pool == this, "an object given to the wrong pool");
  const std::uint32_t number = static_cast<std::uint32_t>(offset & (kPageSize - 1)) / size_;
  Share& share = shares_[frame.slab_cpu];
  Frame* gone = nullptr;
  {
    SpinGuard guard(share.lock, LockRank::kSlab);
    if (memory_->config().poison_freed) __builtin_memset(object, kPoison, size_);
    *static_cast<std::uint16_t*>(object) = frame.slab.first_free;
    frame.slab.first_free = static_cast<std::uint16_t>(number + 1);
    share.in_use = share.in_use - 1;
    const std::uint32_t before = frame.slab.in_use--;
    if (before == per_frame_ || before == 1) [[unlikely]] gone = settle(share, frame);
  }
  if (gone != nullptr) [[unlikely]] release(gone);
}

// A frame has room again, or is empty. One empty frame stays for the next object, if it is the only one with room; with the last object all
// go. Returns those that do, linked.
[[gnu::noinline]] Frame* SlabPool::settle(Share& share, Frame& frame) {
  Frame* gone = nullptr;
  if (frame.slab.in_use + 1U == per_frame_) share.link(frame);
  const auto give_back = [&](Frame& empty) TA_REQ(share.lock) {
    share.unlink(empty);
    empty.slab.next = gone;
    gone = &empty;
  };
  if (frame.slab.in_use == 0 && (share.partial != &frame || frame.slab.next != nullptr)) give_back(frame);
  while (share.in_use == 0 && share.partial != nullptr) give_back(*share.partial);
  return gone;
}

[[gnu::noinline]] void SlabPool::release(Frame* gone) {
  while (gone != nullptr) {
    Frame* const next = gone->slab.next;
    gone->slab_cpu = 0;
    memory_->pool().give(gone);
    gone = next;
  }
}

}  // namespace quire
