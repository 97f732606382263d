#include "arch/paging.h"

#include <algorithm>
#include <array>

#include "arch/features.h"
#include "arch/layout.h"
#include "arch/panic.h"
#include "arch/registers.h"
#include "sync/lock.h"

extern "C" {
extern char boot_stack_guard[];
}

namespace quire::kernel {
namespace {

constexpr std::uint64_t kPage = 4096, kLarge = 2U << 20, kHuge = 1U << 30;
constexpr std::uint64_t kAddressMask = 0x000ffffffffff000;
constexpr std::uint64_t kUncached = 0x18;  // PCD, PWT
constexpr std::uint64_t kAccessedDirty = 0x60;
constexpr unsigned kEntries = 512, kRootLevel = 4;

using Table = std::array<std::uint64_t, kEntries>;

constinit std::uint64_t root = 0;
constinit TableSource source = nullptr;
constinit std::uint64_t next_device = kDeviceBase;
constinit SpinLock lock;

/// Tables are read through the direct map; the boot tables have its first GiB, where the first ones come from.
Table& table_at(std::uint64_t physical) { return *direct_map<Table>(physical); }

unsigned slot_of(std::uint64_t address, unsigned level) {
  return static_cast<unsigned>(address >> (12 + 9 * (level - 1))) & (kEntries - 1);
}

std::uint64_t leaf_bits(Mapping mapping) {
  constexpr std::uint64_t kCommon = kEntryPresent | kEntryGlobal | kAccessedDirty;
  switch (mapping) {
    case Mapping::kReadExecute: return kCommon;
    case Mapping::kReadOnly: return kCommon | kEntryNoExecute;
    case Mapping::kReadWrite: return kCommon | kEntryWrite | kEntryNoExecute;
    case Mapping::kDevice: return kCommon | kEntryWrite | kEntryNoExecute | kUncached;
  }
  return 0;
}

/// The entry for `address` in the table at `level`, making the tables above it.
std::uint64_t& entry_for(std::uint64_t address, unsigned level) {
  Table* table = &table_at(root);
  for (unsigned at = kRootLevel; at > level; --at) {
    std::uint64_t& entry = (*table)[slot_of(address, at)];
    if (entry == 0) entry = source() | kEntryPresent | kEntryWrite | kAccessedDirty;
    table = &table_at(entry & kAddressMask);
  }
  return (*table)[slot_of(address, level)];
}

/// Maps with the largest pages that fit.
void map_range(std::uint64_t virt, PhysicalRange range, Mapping mapping) {
  const std::uint64_t largest = cpu_features().huge_pages_1g ? kHuge : kLarge;
  std::uint64_t physical = range.begin;
  while (physical < range.end) {
    std::uint64_t size = kPage;
    unsigned level = 1;
    for (std::uint64_t bigger = kLarge, at = 2; bigger <= largest; bigger <<= 9, ++at) {
      if (((physical | virt) & (bigger - 1)) != 0 || range.end - physical < bigger) break;
      size = bigger;
      level = static_cast<unsigned>(at);
    }
    entry_for(virt, level) = physical | leaf_bits(mapping) | (level > 1 ? kEntryLarge : 0);
    physical += size;
    virt += size;
  }
}

std::uint64_t image_physical(const char* symbol) {
  return reinterpret_cast<std::uint64_t>(symbol) - kImageBase;
}

struct ImagePart {
  PhysicalRange range;
  Mapping mapping;
};

std::array<ImagePart, 3> image_parts() {
  return {{{{image_physical(image_begin), image_physical(image_text_end)}, Mapping::kReadExecute},
           {{image_physical(image_text_end), image_physical(image_rodata_end)}, Mapping::kReadOnly},
           {{image_physical(image_rodata_end), image_physical(image_end)}, Mapping::kReadWrite}}};
}

/// The direct map of one range of RAM; what is read-only in the image is so here too.
void map_ram(PhysicalRange ram) {
  const PhysicalRange fixed{image_physical(image_begin), image_physical(image_rodata_end)};
  const auto map = [](std::uint64_t begin, std::uint64_t end, Mapping mapping) {
    if (begin < end) map_range(kDirectMapBase + begin, {begin, end}, mapping);
  };
  map(ram.begin, std::min(ram.end, fixed.begin), Mapping::kReadWrite);
  map(std::max(ram.begin, fixed.begin), std::min(ram.end, fixed.end), Mapping::kReadOnly);
  map(std::max(ram.begin, fixed.end), ram.end, Mapping::kReadWrite);
}

bool is_leaf(std::uint64_t entry, unsigned level) {
  return level == 1 || (level < kRootLevel && (entry & kEntryLarge) != 0);
}

std::uint64_t count_unsafe_below(std::uint64_t table, unsigned level, unsigned first_slot) {
  std::uint64_t count = 0;
  for (unsigned slot = first_slot; slot < kEntries; ++slot) {
    const std::uint64_t entry = table_at(table)[slot];
    if ((entry & kEntryPresent) == 0) continue;
    if (!is_leaf(entry, level)) {
      count += count_unsafe_below(entry & kAddressMask, level - 1, 0);
    } else if ((entry & kEntryUser) != 0 || ((entry & kEntryWrite) != 0 && (entry & kEntryNoExecute) == 0)) {
      ++count;
    }
  }
  return count;
}

}  // namespace

void build_kernel_tables(std::span<const PhysicalRange> ram, TableSource table_source) {
  source = table_source;
  root = source();
  for (const PhysicalRange& range : ram) map_ram(range);
  for (const ImagePart& part : image_parts()) {
    map_range(kImageBase + part.range.begin, part.range, part.mapping);
  }
  entry_for(reinterpret_cast<std::uint64_t>(boot_stack_guard), 1) = 0;
  // Roots copy the upper half once: every slot that will ever be used needs its table now.
  entry_for(kDeviceBase, kRootLevel - 1);
  entry_for(kBlockBase, kRootLevel - 1);
  load_kernel_root();
}

void set_table_source(TableSource table_source) { source = table_source; }

void load_kernel_root() { write_cr3(root); }

std::uint64_t kernel_root() { return root; }

void* map_device(std::uint64_t physical, std::size_t size) {
  const Guard guard(lock);
  const std::uint64_t begin = physical & ~(kPage - 1);
  const std::uint64_t end = (physical + size + kPage - 1) & ~(kPage - 1);
  const std::uint64_t virt = next_device;
  for (std::uint64_t at = begin; at < end; at += kPage, next_device += kPage) {
    entry_for(next_device, 1) = at | leaf_bits(Mapping::kDevice);
  }
  return reinterpret_cast<void*>(virt + (physical - begin));
}

void map_block_page(std::uint64_t address, std::uint64_t physical) {
  const Guard guard(lock);
  entry_for(address, 1) = physical | leaf_bits(Mapping::kReadWrite);
}

std::uint64_t unmap_block_page(std::uint64_t address) {
  const Guard guard(lock);
  std::uint64_t& entry = entry_for(address, 1);
  const std::uint64_t physical = entry & kAddressMask;
  entry = 0;
  return physical;
}

void set_block_note(std::uint64_t address, std::uint64_t note) {
  const Guard guard(lock);
  entry_for(address, 1) = note << 12;
}

std::uint64_t block_note(std::uint64_t address) {
  const Guard guard(lock);
  return entry_for(address, 1) >> 12;
}

std::uint64_t count_unsafe_entries() { return count_unsafe_below(root, kRootLevel, kEntries / 2); }

std::uint64_t leaf_entry_of(std::uint64_t address) {
  const Table* table = &table_at(root);
  for (unsigned level = kRootLevel;; --level) {
    const std::uint64_t entry = (*table)[slot_of(address, level)];
    if ((entry & kEntryPresent) == 0) return 0;
    if (is_leaf(entry, level)) return entry;
    table = &table_at(entry & kAddressMask);
  }
}

std::optional<std::uint64_t> physical_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uint64_t>(pointer);
  if (address >= kDirectMapBase && address < kDirectMapEnd) return address - kDirectMapBase;
  if (address >= reinterpret_cast<std::uint64_t>(image_begin)) return address - kImageBase;
  const std::uint64_t entry = leaf_entry_of(address);
  if (entry == 0) return std::nullopt;
  return (entry & kAddressMask) | (address & (kPage - 1));  // nothing but the direct map has large leaves
}

}  // namespace quire::kernel
