// The kernel's half of every address space (docs/decisions/0003).
//
//   slot 256  direct map of all RAM
//   slot 257  device registers, uncached
//   slot 258  blocks: kernel stacks and large heap blocks, with guard pages
//   slot 511  the kernel image, in the last 2 GiB
#pragma once

#include <cstdint>

#include "arch/offsets.h"

namespace quire::kernel {

inline constexpr std::uint64_t kDirectMapBase = 0xffff800000000000;
inline constexpr std::uint64_t kDirectMapEnd = 0xffff808000000000;
inline constexpr std::uint64_t kDeviceBase = 0xffff808000000000;
inline constexpr std::uint64_t kBlockBase = 0xffff810000000000;
inline constexpr std::uint64_t kBlockEnd = 0xffff818000000000;
inline constexpr std::uint64_t kImageBase = QUIRE_IMAGE_BASE;
/// First address that no program may use.
inline constexpr std::uint64_t kUserTop = 0x00007ffffffff000;

/// Sees a physical address of RAM through the direct map.
template <typename T = void>
T* direct_map(std::uint64_t physical) {
  return reinterpret_cast<T*>(kDirectMapBase + physical);
}

// Set by the linker script: the ends of the image's parts, each on a page boundary.
extern "C" {
extern char image_begin[], image_text_end[], image_rodata_end[], image_end[];
}

}  // namespace quire::kernel
