#include "mm/frames.h"

#include <atomic>

#include "arch/layout.h"
#include "arch/panic.h"
#include "mm/memory.h"

namespace quire::kernel {
namespace {

constinit std::atomic<std::uint64_t> in_use{0};

std::byte* allocate(FrameUse use) {
  Frame* const frame = memory().pool().take_or_null(use);
  if (frame == nullptr) return nullptr;
  frame->kind = FrameKind::kKernel;
  in_use.fetch_add(1, std::memory_order_relaxed);
  return memory().contents(*frame);
}

}  // namespace

std::byte* allocate_frame() { return allocate(FrameUse::kKernel); }

std::byte* allocate_spare_frame() { return allocate(FrameUse::kUser); }

void free_frame(std::byte* contents) {
  in_use.fetch_sub(1, std::memory_order_relaxed);
  const Pfn pfn((reinterpret_cast<std::uint64_t>(contents) - kDirectMapBase) >> kPageShift);
  memory().pool().give(&memory().frame(pfn));
}

std::uint64_t allocate_table_frame() {
  std::byte* const frame = allocate_frame();
  if (frame == nullptr) panic("no memory for a kernel page table: try a larger -m");
  MemoryManager::fill_zero(frame);
  return reinterpret_cast<std::uint64_t>(frame) - kDirectMapBase;
}

std::uint64_t kernel_frames() { return in_use.load(std::memory_order_relaxed); }

}  // namespace quire::kernel
