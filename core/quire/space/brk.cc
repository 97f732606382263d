// brk (Linux v6.12 mm/mmap.c:SYSCALL_DEFINE1(brk), man7 brk(2)).

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/zap.h"
#include "quire/tlb/gather.h"

namespace quire {

VirtAddr AddressSpace::brk(VirtAddr wanted) {
  VirtAddr before, now;
  bool is_locked = false;
  {
    ExclusiveGuard guard(lock_);
    before = brk_;
    now = brk_locked(wanted);
    is_locked = future_flags_.has(VmaFlag::kLocked);
  }
  const VirtAddr old_page = VirtAddr(before.raw() + kPageSize - 1).page_floor();
  const VirtAddr new_page = VirtAddr(now.raw() + kPageSize - 1).page_floor();
  if (is_locked && old_page < new_page) static_cast<void>(populate(VirtRange(old_page, new_page)));
  return now;
}

VirtAddr AddressSpace::brk_locked(VirtAddr wanted) {
  if (wanted < layout_.brk_begin || memory_.geometry().user_top() < wanted) return brk_;
  const ByteCount data = layout_.data_end - layout_.data_begin;
  if (limits_.data.raw() != Limits::kInfinity && (wanted - layout_.brk_begin) + data > limits_.data) return brk_;
  const auto new_end = checked_add(wanted, ByteCount(kPageSize - 1));
  if (!new_end) return brk_;
  const VirtAddr new_page = new_end->page_floor();
  const VirtAddr old_page = VirtAddr(brk_.raw() + kPageSize - 1).page_floor();
  if (new_page == old_page) return brk_ = wanted;

  VmaMap changed = map_;
  Gather gather(*this);
  if (new_page < old_page) {
    const VirtRange range(new_page, old_page);
    const Vma* first = map_.first_ending_above(new_page);
    if (first == nullptr || !first->range.overlaps(range)) return brk_;
    if (!adopt_edges_locked(range)) return brk_;
    changed = map_;
    if (!changed.erase_range(range) || changed.size() > limits_.max_map_count) return brk_;
    if (!unmap_locked(range, changed, gather)) return brk_;
    commit_map(std::move(changed), range);
    return brk_ = wanted;
  }
  const VirtRange range(old_page, new_page);
  const Vma* next = map_.first_ending_above(old_page);
  if (next != nullptr && begin_with_gap(*next) < new_page + ByteCount(kPageSize)) return brk_;
  Vma heap;
  heap.range = range;
  heap.prot = kProtReadWrite;
  heap.flags = future_flags_.with(VmaFlag::kMayWrite | VmaFlag::kAccounted);
  heap.offset = page_index(old_page);
  if (!may_lock(range.pages(), heap.flags) || !may_expand(range.pages(), heap.prot, heap.flags) || map_.size() > limits_.max_map_count) {
    return brk_;
  }
  // What lies below the first break is no heap.
  const Vma* before = map_.last_beginning_below(old_page);
  const bool extends = before != nullptr && layout_.brk_begin < before->range.end();
  if (!(extends ? changed.insert_merging(heap) : changed.insert(heap))) return brk_;
  commit_map(std::move(changed), range);
  return brk_ = wanted;
}

}  // namespace quire
