#include "fs/memory/page_memory.h"

#include "mm/frames.h"
#include "mm/memory.h"

namespace quire::kernel {
namespace {

/// Frames that files leave to the rest of the kernel, beyond what core keeps for it.
constexpr std::uint64_t kHeadroom = 512;

}  // namespace

std::byte* allocate_page_or_null() {
  if (memory().pool().free_frames().raw() < kHeadroom) return nullptr;
  return allocate_frame();
}

void free_page(std::byte* page) { free_frame(page); }

std::uint64_t memory_pages() { return memory().pool().total_frames().raw(); }

}  // namespace quire::kernel
