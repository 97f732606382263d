// munmap (Linux v6.12 mm/vma.c:do_vmi_munmap(), man7 munmap(2)).

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/zap.h"
#include "quire/tlb/gather.h"

namespace quire {

Result<void> AddressSpace::munmap(VirtAddr address, ByteCount length) {
  const VirtAddr top = memory_.geometry().user_top();
  if (!address.is_page_aligned() || top < address || length.raw() > (top - address).raw()) return fail(Errno::kInval);
  const auto rounded = checked_page_ceil(length);
  if (!rounded || rounded->raw() == 0) return fail(Errno::kInval);
  const VirtRange range(address, *rounded);
  Gather gather(*this);
  {
    ExclusiveGuard guard(lock_);
    const Vma* first = map_.first_ending_above(address);
    if (first == nullptr || !first->range.overlaps(range)) return {};
    VmaMap changed = map_;
    QUIRE_CHECK(changed.erase_range(range));
    if (changed.size() > map_.size() && changed.size() > limits_.max_map_count) return fail(Errno::kNoMem);
    QUIRE_CHECK(unmap_locked(range, changed, gather));
    commit_map(std::move(changed), range);
    // Flushed before anything new can be mapped here.
    gather.finish();
  }
  return {};
}

// Takes the entries of `range` away; `changed` is the map as it will be. Errors: ENOMEM, nothing changed.
Result<void> AddressSpace::unmap_locked(VirtRange range, const VmaMap& changed, Gather& gather, Counter reason) {
  // Tables that serve no other mapping go whole: up to the neighbours (S0.32).
  const Vma* before = changed.last_beginning_below(range.begin());
  const Vma* after = changed.first_ending_above(range.last());
  const VirtAddr floor = before == nullptr ? VirtAddr(0) : before->range.end();
  const VirtAddr ceiling = after == nullptr ? memory_.geometry().table_range(VirtAddr(0), memory_.geometry().root_level()).end()
                                            : after->range.begin();
  Zap zap(*this, range, VirtRange(floor, ceiling), reason);
  QUIRE_CHECK(zap.reserve());
  zap.run(gather);
  gather.finish();
  return {};
}

}  // namespace quire
