#include "task/random_layout.h"

#include "drivers/console_port.h"
#include "quire/base/geometry.h"

namespace quire::kernel {

namespace {

/// Linux v6.12 arch/x86: 28 bits of pages for mappings and programs (CONFIG_ARCH_MMAP_RND_BITS), a heap within 1 GiB.
constexpr std::uint64_t kMappingPages = std::uint64_t{1} << 28;
constexpr std::uint64_t kHeapPages = (std::uint64_t{1} << 30) / kPageSize;
constexpr std::uint64_t kStackPointerBytes = 8192;

std::uint64_t random_number() {
  std::uint64_t number = 0;
  random_bytes(&number, sizeof number);
  return number;
}

}  // namespace

constinit std::atomic<int> randomize_va_space{2};

// Linux v6.12 fs/binfmt_elf.c:load_elf_binary(), arch/x86/mm/mmap.c, arch/x86/kernel/process.c
RandomLayout random_layout(std::uint32_t personality) {
  const int how = randomize_va_space.load(std::memory_order_relaxed);
  RandomLayout layout;
  if (how == 0 || (personality & kAddressNoRandomize) != 0) return layout;
  layout.is_random = true;
  layout.moves_heap = how > 1;
  layout.stack = random_number() & RandomLayout::kMostStack;
  layout.stack_pointer = random_number() % kStackPointerBytes;
  layout.mappings = random_number() % kMappingPages * kPageSize;
  layout.program = random_number() % kMappingPages * kPageSize;
  if (layout.moves_heap) layout.heap = random_number() % kHeapPages * kPageSize;
  return layout;
}

}  // namespace quire::kernel
