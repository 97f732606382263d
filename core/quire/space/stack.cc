// Stacks that grow: a fault below one extends it, down to its guard gap and its limits.

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"

namespace quire {

// Linux v6.12 mm/vma.c:expand_downwards(), mm/mmap.c:acct_stack_growth().
AddressSpace::StackGrowth AddressSpace::grow_stack(VirtAddr address) {
  ExclusiveGuard guard(lock_);
  const Vma* above = map_.first_ending_above(address);
  if (above == nullptr) return StackGrowth::kNotAStack;
  if (above->range.begin() <= address) return StackGrowth::kGrown;  // a sibling was faster
  if (!above->flags.has(VmaFlag::kGrowsDown)) return StackGrowth::kNotAStack;
  const VirtAddr begin = address.page_floor();
  if (begin < mmap_floor_) return StackGrowth::kRefused;
  const Vma* before = map_.last_beginning_below(begin);
  if (before != nullptr && !before->flags.has(VmaFlag::kGrowsDown) && before->prot.bits() != 0 &&
      begin - before->range.end() < kStackGuardGap.bytes()) {
    return StackGrowth::kRefused;
  }
  const PageCount growth = pages_of(above->range.begin() - begin);
  if (above->range.end() - begin > limits_.stack || !may_lock(growth, above->flags) || !may_expand(growth, above->prot, above->flags)) {
    return StackGrowth::kRefused;
  }
  Vma grown = *above;
  grown.range = VirtRange(begin, above->range.end());
  grown.offset = PageIndex(above->offset.raw() - growth.raw());
  if (grown.anon.is_none()) grown.anon = map_.tag_for(*above);
  VmaMap changed = map_;
  if (!changed.replace(above->range.begin(), grown)) return StackGrowth::kOutOfMemory;
  commit_map(std::move(changed), grown.range);
  return StackGrowth::kGrown;
}

}  // namespace quire
