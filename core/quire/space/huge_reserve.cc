#include "quire/space/huge_reserve.h"

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/writer.h"

namespace quire {

namespace {

// Private leaves in tables of `level` in `range`.
std::uint64_t count_private(const MemoryManager& memory, const TableView& table, VirtRange range, Level level) {
  const Geometry& geometry = memory.geometry();
  std::uint64_t found = 0;
  for (VirtAddr at = range.begin(); at < range.end();) {
    const VirtRange part = range.intersection(geometry.entry_range(at, table.level()));
    const Entry entry = table.entry(geometry.slot_of(at, table.level()));
    at = part.end();
    if (table.level() == level) {
      found += entry.is_large() && entry.is_private_leaf() ? 1 : 0;
    } else if (memory.kind_of(entry, table.level()) == EntryKind::kTable) {
      found += count_private(memory, TableView(memory, memory.frame(entry.pfn())), part, level);
    }
  }
  return found;
}

}  // namespace

template <typename Visit>
void AddressSpace::for_each_reserve(VirtRange range, Visit visit) {
  if (!map_.has_any(VmaFlag::kHugeReserved) || family() == 0) return;
  for (const Vma& vma : map_.overlapping(range)) {
    if (!vma.flags.has(VmaFlag::kHugeReserved)) continue;
    const VirtRange part = vma.range.intersection(range);
    const Level level = vma.leaf_level();
    const std::uint64_t pages = part.size().raw() / memory_.geometry().span(level).raw();
    visit(memory_.huge().of(level), pages, count_private(memory_, TableView(memory_, root_frame()), part, level));
  }
}

void AddressSpace::give_up_reserves(VirtRange range) {
  for_each_reserve(range, [](HugePool& pool, std::uint64_t pages, std::uint64_t present) { pool.unreserve(pages - present); });
}

void AddressSpace::reserve_again(VirtRange range) {
  for_each_reserve(range, [](HugePool& pool, std::uint64_t, std::uint64_t present) { pool.reserve_again(present); });
}

}  // namespace quire
