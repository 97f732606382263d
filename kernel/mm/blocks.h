// Blocks of several pages in a row of the kernel's address space: kernel stacks and large heap blocks.
//
// Sizes are powers of two from 8 KiB to 8 MiB. Every block lies between unmapped pages, so running off either end
// faults. Freed blocks stay mapped for the next user, up to a limit; beyond that they are unmapped in batches,
// with one flush of all CPUs for each.
#pragma once

#include <cstddef>

#include "quire/frame/frame_pool.h"

namespace quire::kernel {

inline constexpr std::size_t kSmallestBlock = 8192, kLargestBlock = 8U << 20;

/// At least `size` bytes, page aligned; null if there is no memory or `size` is beyond kLargestBlock. May not be
/// called from interrupt handlers. FrameUse::kUser leaves the reserve alone.
[[nodiscard]] std::byte* allocate_block(std::size_t size, FrameUse use = FrameUse::kKernel);
void free_block(std::byte* block);
/// Bytes in the block, at least what was asked for.
[[nodiscard]] std::size_t block_size(const std::byte* block);

}  // namespace quire::kernel
