// mincore and msync (Linux v6.12 mm/mincore.c, mm/msync.c; man7 mincore(2), msync(2)).

#include <algorithm>

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/uapi.h"

namespace quire {

namespace {

/// Marks the pages of `range` that are resident; `resident` has a byte for each.
void mark_resident(const MemoryManager& memory, const TableView& table, VirtRange range, std::span<std::uint8_t> resident) {
  const Geometry& geometry = memory.geometry();
  for (VirtAddr at = range.begin(); at < range.end();) {
    const VirtRange part = range.intersection(geometry.entry_range(at, table.level()));
    const Entry entry = table.entry(geometry.slot_of(at, table.level()));
    const std::span<std::uint8_t> bytes =
        resident.subspan((at - range.begin()).raw() >> kPageShift, part.pages().raw());
    at = part.end();
    switch (memory.kind_of(entry, table.level())) {
      case EntryKind::kTable:
        mark_resident(memory, TableView(memory, memory.frame(entry.pfn())), part, bytes);
        break;
      case EntryKind::kZeroTable:
      case EntryKind::kFrame:
      case EntryKind::kZeroFrame:
      case EntryKind::kRaw:
      case EntryKind::kMigration: std::ranges::fill(bytes, std::uint8_t{1}); break;
      case EntryKind::kAbsent:
      case EntryKind::kSwap:
      case EntryKind::kPoison:
      case EntryKind::kMarker:
      case EntryKind::kMalformed: break;
    }
  }
}

}  // namespace

// Holds the space's lock exclusively: then no table on the way goes meanwhile, shared or not.
Result<PageCount> AddressSpace::mincore(VirtAddr address, std::span<std::uint8_t> resident) {
  if (!address.is_page_aligned()) return fail(Errno::kInval);
  const auto end = checked_add(address, ByteCount(resident.size() << kPageShift));
  if (!end || memory_.geometry().user_top() < *end) return fail(Errno::kNoMem);
  std::ranges::fill(resident, std::uint8_t{0});
  const VirtRange range(address, *end);
  ExclusiveGuard guard(lock_);
  VirtAddr done = address;
  for (const Vma& vma : map_.overlapping(range)) {
    if (done < vma.range.begin()) break;
    const VirtRange part = vma.range.intersection(range);
    const std::span<std::uint8_t> bytes = resident.subspan((part.begin() - address).raw() >> kPageShift, part.pages().raw());
    mark_resident(memory_, TableView(memory_, root_frame()), part, bytes);
    if (vma.object != nullptr) {
      // Not mapped here, but in memory all the same.
      for (std::uint64_t n = 0; n < bytes.size(); ++n) {
        const PageIndex index = vma.index_of(part.begin()) + PageCount(n);
        if (bytes[n] == 0 && vma.object->has_page(index)) bytes[n] = 1;
      }
    }
    done = part.end();
  }
  return pages_of(done - address);
}

// As Linux, up to the first error. What is mapped is what was when the call began; storing may take long.
Result<void> AddressSpace::msync(VirtAddr address, ByteCount length, std::uint32_t flags) {
  if ((flags & ~(uapi::kMsAsync | uapi::kMsInvalidate | uapi::kMsSync)) != 0) return fail(Errno::kInval);
  if (!address.is_page_aligned()) return fail(Errno::kInval);
  if ((flags & uapi::kMsAsync) != 0 && (flags & uapi::kMsSync) != 0) return fail(Errno::kInval);
  const ByteCount rounded((length.raw() + kPageSize - 1) & ~(kPageSize - 1));  // as Linux's, which wraps
  const auto end = checked_add(address, rounded);
  if (!end) return fail(Errno::kNoMem);
  const VirtRange range(address, *end);
  const VmaMap now = map();
  VirtAddr done = address;
  bool hole = false;
  for (const Vma& vma : now.overlapping(range)) {
    if (done < vma.range.begin()) hole = true;
    if (hole && flags == uapi::kMsAsync) break;
    if ((flags & uapi::kMsInvalidate) != 0 && vma.flags.has(VmaFlag::kLocked)) return fail(Errno::kBusy);
    if ((flags & uapi::kMsSync) != 0 && vma.is_shared() && vma.label != nullptr) {
      const VirtRange part = vma.range.intersection(range);
      QUIRE_CHECK(vma.label->store(vma.index_of(part.begin()), part.pages()));
    }
    done = vma.range.end();
  }
  if (hole || done < *end) return fail(Errno::kNoMem);
  return {};
}

}  // namespace quire
