// munmap (Linux v6.12 mm/vma.c:do_vmi_munmap(), man7 munmap(2)).

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/zap.h"
#include "quire/tlb/gather.h"

namespace quire {

Result<void> AddressSpace::munmap(VirtAddr address, ByteCount length) {
  ExclusiveGuard guard(lock_);
  return munmap_locked(address, length);
}

Result<void> AddressSpace::munmap_locked(VirtAddr address, ByteCount length) {
  const VirtAddr top = memory_.geometry().user_top();
  if (!address.is_page_aligned() || top < address || length.raw() > (top - address).raw()) return fail(Errno::kInval);
  const auto rounded = checked_page_ceil(length);
  if (!rounded || rounded->raw() == 0) return fail(Errno::kInval);
  const VirtRange range(address, *rounded);
  const Vma* first = map_.first_ending_above(address);
  if (first == nullptr || !first->range.overlaps(range)) return {};
  if (first->range != range) QUIRE_CHECK(adopt_edges_locked(range));  // what goes whole has no edges
  VmaMap changed = map_;
  QUIRE_CHECK(changed.erase_range(range));
  if (changed.size() > map_.size() && changed.size() > limits_.max_map_count) return fail(Errno::kNoMem);
  Gather gather(*this);
  // Flushed before anything new can be mapped here.
  QUIRE_CHECK(unmap_locked(range, changed, gather));
  commit_map(std::move(changed), range);
  return {};
}

VirtRange AddressSpace::gap_around(const VmaMap& map, VirtRange range) const {
  const Vma* before = map.last_beginning_below(range.begin());
  const Vma* after = map.first_ending_above(range.last());
  const VirtAddr floor = before == nullptr ? VirtAddr(0) : before->range.end();
  const VirtAddr ceiling = after == nullptr ? memory_.geometry().table_range(VirtAddr(0), memory_.geometry().root_level()).end()
                                            : after->range.begin();
  return VirtRange(floor, ceiling);
}

// Takes the entries of `range` away; `changed` is the map as it will be. Errors: ENOMEM, nothing changed.
Result<void> AddressSpace::unmap_locked(VirtRange range, const VmaMap& changed, Gather& gather, Counter reason) {
  // Tables that serve no other mapping go whole: up to the neighbours (S0.32).
  Zap zap(*this, range, gap_around(changed, range), reason);
  QUIRE_CHECK(zap.reserve());
  give_up_reserves(range);
  zap.run(gather);
  gather.finish();
  return {};
}

}  // namespace quire
