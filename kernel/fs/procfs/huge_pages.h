// The pools of huge pages, as files: what /proc/sys/vm and /sys/kernel/mm/hugepages show and set (Linux v6.12
// Documentation/admin-guide/mm/hugetlbpage.rst).
#pragma once

#include <span>

#include "fs/procfs/system_files.h"

namespace quire::kernel {

/// The settings in /proc/sys/vm, which are about the smallest pages.
void write_huge_pages(std::string& out);
Result<void> set_huge_pages(int pages);
void write_huge_overcommit(std::string& out);
Result<void> set_huge_overcommit(int pages);
/// What /sys/kernel/mm/hugepages holds: a directory for each size that there is.
[[nodiscard]] std::span<const SystemEntry> huge_page_sizes();

}  // namespace quire::kernel
