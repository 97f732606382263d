// Frames for the kernel's own use: heap, stacks, tables, rings. They are core's, from the reserve that user memory
// cannot touch, and marked so that audits know them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::kernel {

/// One frame, seen through the direct map; null when memory is exhausted. Contents are arbitrary.
[[nodiscard]] std::byte* allocate_frame();
/// The same, but null already when only the kernel's reserve is left: for what programs can make large (pipes, files in memory).
[[nodiscard]] std::byte* allocate_spare_frame();
void free_frame(std::byte* frame);

/// The same, zeroed, by physical address; panics when there is none. For page tables.
std::uint64_t allocate_table_frame();

/// Frames in use by the kernel.
std::uint64_t kernel_frames();

}  // namespace quire::kernel
