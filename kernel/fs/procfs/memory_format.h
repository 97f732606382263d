// What observers say of memory, as text and as the words of pagemap: pure, so that it can be tested
// on the host.
//
// Formats: Linux v6.12 fs/proc/task_mmu.c:show_smap(), show_smaps_rollup(), show_numa_map(),
// pte_to_pagemap_entry(); fs/proc/page.c:stable_page_flags(). pagetable is Quire's own: see
// format_table().
#pragma once

#include <cstdint>
#include <string>

#include "fs/procfs/mapped_file.h"
#include "quire/space/observe.h"

namespace quire::kernel {

/// The part of a mapping in /proc/PID/smaps that follows its line of maps.
void format_smaps_figures(const Vma& vma, const RangeFigures& figures, std::string& out);
/// All of /proc/PID/smaps_rollup. `locked` is what locked mappings count.
void format_smaps_rollup(VirtRange range, const RangeFigures& figures, std::uint64_t locked_pss,
                         std::string& out);
/// A line of /proc/PID/numa_maps, on a machine with one node.
void format_numa_mapping(const Vma& vma, const Layout& layout, const RangeFigures& figures,
                         const MappedFile* file, std::string& out);
/// A line of /proc/PID/pagetable: level, range, frame, share count, spaces that reach it, live
/// entries of all, leaves of private memory, files and shared memory, and flags: w every entry
/// above allows writing, s other spaces reach it too, z a table of zeros, - none of these.
/// `frames`: whether frame numbers may be told.
enum class FrameNumbers : bool { kHidden, kShown };
void format_table(const TableRecord& table, unsigned slots, FrameNumbers frames, std::string& out);

/// The word of /proc/PID/pagemap.
[[nodiscard]] std::uint64_t pagemap_word(const PageState& page, FrameNumbers frames);
/// The word of /proc/kpageflags (linux/kernel-page-flags.h).
[[nodiscard]] std::uint64_t page_flags_word(const Frame& frame);

}  // namespace quire::kernel
