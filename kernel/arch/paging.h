// The kernel's own page tables: made once at boot, shared by every root through slots 256–511.
//
// W^X: no page is writable and executable; text is read-only in the direct map too. Only the device and
// block regions change after boot, under one lock, below tables that exist from the start, so that roots made
// earlier see the change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace quire::kernel {

struct PhysicalRange {
  std::uint64_t begin = 0, end = 0;
  [[nodiscard]] std::uint64_t size() const { return end - begin; }
};

enum class Mapping : std::uint8_t { kReadExecute, kReadOnly, kReadWrite, kDevice };

/// A zeroed frame for a table; its physical address. Panics when there is none: only boot and small requests come here.
using TableSource = std::uint64_t (*)();

/// Builds the tables over all of `ram` and the image, and loads them.
void build_kernel_tables(std::span<const PhysicalRange> ram, TableSource source);
/// Where later tables come from.
void set_table_source(TableSource source);
/// Loads the kernel's own root on this CPU.
void load_kernel_root();
/// Physical address of that root.
std::uint64_t kernel_root();

/// Makes device registers visible, uncached. Never unmapped.
void* map_device(std::uint64_t physical, std::size_t size);

/// Maps one page of the block region to a frame, read and write. Pre: nothing is mapped there.
void map_block_page(std::uint64_t address, std::uint64_t physical);
/// Unmaps it and returns the frame. The caller flushes every CPU before the frame is used again.
std::uint64_t unmap_block_page(std::uint64_t address);

/// A number below 2^40 kept in the entry of an unmapped page of the block region.
void set_block_note(std::uint64_t address, std::uint64_t note);
std::uint64_t block_note(std::uint64_t address);

/// The physical address behind any kernel address, if something is mapped there.
std::optional<std::uint64_t> physical_of(const void* address);
/// The leaf entry that maps a kernel address, for checks; 0 if there is none.
std::uint64_t leaf_entry_of(std::uint64_t address);

/// Leaf entries of the kernel's half that break the rules: writable and executable, or open to user mode.
std::uint64_t count_unsafe_entries();

inline constexpr std::uint64_t kEntryPresent = 1, kEntryWrite = 2, kEntryUser = 4, kEntryLarge = 0x80,
                               kEntryGlobal = 0x100, kEntryNoExecute = std::uint64_t{1} << 63;

}  // namespace quire::kernel
