// Where the pages of files in memory come from.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::kernel {

/// 4096 bytes, aligned, with undefined contents; null when the kernel's reserve would be touched: the caller reports ENOSPC or ENOMEM.
std::byte* allocate_page_or_null();
void free_page(std::byte* page);
/// Pages of the machine's memory, for sizing file systems.
std::uint64_t memory_pages();

}  // namespace quire::kernel
