// mremap (Linux v6.17 mm/mremap.c:check_mremap_params(), check_prep_vma(), mremap_to(), move_vma(); man7 mremap(2)). Later than what the
// rest follows: since then nothing at the target is unmapped before the arguments are known to be good.

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/guards.h"
#include "quire/space/move.h"
#include "quire/space/zap.h"
#include "quire/tlb/gather.h"
#include "quire/uapi.h"

namespace quire {

namespace {

/// Linux's PAGE_ALIGN(): a length close to the end of the address space becomes 0.
ByteCount page_ceil_wrapping(ByteCount length) { return ByteCount((length.raw() + kPageSize - 1) & ~(kPageSize - 1)); }

/// Whether the new place is not the kernel's choice alone.
bool has_target(const MremapRequest& request) { return (request.flags & (uapi::kMremapFixed | uapi::kMremapDontUnmap)) != 0; }

}  // namespace

Result<VirtAddr> AddressSpace::mremap(const MremapRequest& raw) {
  MremapRequest request = raw;
  const bool may_move = (request.flags & uapi::kMremapMayMove) != 0;
  const bool keeps_old = (request.flags & uapi::kMremapDontUnmap) != 0;
  if ((request.flags & ~(uapi::kMremapFixed | uapi::kMremapMayMove | uapi::kMremapDontUnmap)) != 0) return fail(Errno::kInval);
  if ((request.flags & uapi::kMremapFixed) != 0 && !may_move) return fail(Errno::kInval);
  if (!request.old_address.is_page_aligned()) return fail(Errno::kInval);
  request.old_length = page_ceil_wrapping(request.old_length);
  request.new_length = page_ceil_wrapping(request.new_length);
  if (keeps_old && (!may_move || request.old_length != request.new_length)) return fail(Errno::kInval);
  const std::uint64_t top = memory_.geometry().user_top().raw();
  if (request.new_length.raw() == 0 || request.new_length.raw() > top) return fail(Errno::kInval);
  if (request.new_address.raw() > top - request.new_length.raw()) return fail(Errno::kInval);
  if (has_target(request)) {
    if (!request.new_address.is_page_aligned()) return fail(Errno::kInval);
    // Linux's sums wrap, too.
    if (request.old_address.raw() + request.old_length.raw() > request.new_address.raw() &&
        request.new_address + request.new_length > request.old_address) {
      return fail(Errno::kInval);
    }
  }

  Result<VirtAddr> result = fail(Errno::kInval);
  bool is_locked = false;
  {
    ExclusiveGuard guard(lock_);
    result = mremap_locked(request);
    if (result) {
      const Vma* vma = map_.find(*result);
      is_locked = vma != nullptr && vma->flags.has(VmaFlag::kLocked);
    }
  }
  if (result && is_locked && request.old_length < request.new_length) {
    // Linux ignores what cannot be faulted in here.
    static_cast<void>(populate(VirtRange(*result + request.old_length, *result + request.new_length)));
  }
  return result;
}

// Mappings of huge pages move and shrink by whole ones, and never grow (Linux v6.17 mm/mremap.c:align_hugetlb(), check_prep_vma()).
Result<MremapRequest> AddressSpace::in_whole_pages(const MremapRequest& request, const Vma& vma) const {
  if (!vma.is_huge()) return request;
  const Level level = vma.leaf_level();
  const std::uint64_t rest = memory_.geometry().span(level).raw() - 1;
  MremapRequest rounded = request;
  rounded.old_length = ByteCount((request.old_length.raw() + rest) & ~rest);
  rounded.new_length = ByteCount((request.new_length.raw() + rest) & ~rest);
  const bool is_aligned = memory_.geometry().is_aligned(request.old_address, level) &&
                          (!has_target(request) || memory_.geometry().is_aligned(request.new_address, level));
  const bool keeps_old = (request.flags & uapi::kMremapDontUnmap) != 0;
  if (!is_aligned || keeps_old || rounded.old_length < rounded.new_length) return fail(Errno::kInval);
  return rounded;
}

Result<VirtAddr> AddressSpace::mremap_locked(const MremapRequest& raw) {
  const VirtAddr old = raw.old_address;
  if (has_target(raw) && map_.size() + 5 >= limits_.max_map_count) return fail(Errno::kNoMem);
  const Vma* const first = map_.find(old);
  if (first == nullptr) return fail(Errno::kFault);
  QUIRE_TRY(const MremapRequest request, in_whole_pages(raw, *first));
  if ((request.flags & uapi::kMremapFixed) != 0 && request.old_length == request.new_length) return move_all_locked(request);
  QUIRE_CHECK(adopt_locked(VirtRange(old, ByteCount(kPageSize))));
  if (!has_target(request) && request.new_length <= request.old_length) {
    if (request.new_length < request.old_length) {
      QUIRE_CHECK(munmap_locked(old + request.new_length, request.old_length - request.new_length));
    }
    return old;
  }
  QUIRE_TRY(const Vma vma, resizable_locked(request));
  if (has_target(request)) return remap_to_locked(vma, request);
  const ByteCount more = request.new_length - request.old_length;
  if (request.old_length == vma.range.end() - old && can_expand_locked(vma, more)) {
    Vma extension = vma;
    extension.range = VirtRange(vma.range.end(), more);
    extension.offset = vma.offset + vma.range.pages();
    VmaMap changed = map_;
    QUIRE_CHECK(changed.insert_merging(extension));
    commit_map(std::move(changed), extension.range);
    return old;
  }
  if ((request.flags & uapi::kMremapMayMove) == 0) return fail(Errno::kNoMem);
  QUIRE_TRY(const VirtAddr to, place_locked({VirtAddr(0), request.new_length, 0, vma.object, vma.index_of(request.old_address)}));
  return move_locked(vma, request, to);
}

// Whatever is mapped in the range, one mapping after the other, the holes between them kept (Linux v6.17 mm/mremap.c:remap_move()). What
// was moved before an error stays moved.
Result<VirtAddr> AddressSpace::move_all_locked(const MremapRequest& request) {
  const VirtAddr begin = request.old_address;
  const auto end = checked_add(begin, request.old_length);
  const Vma* vma = end ? map_.first_ending_above(begin) : nullptr;
  if (vma == nullptr || begin < vma->range.begin()) return fail(Errno::kFault);
  for (VirtAddr at = begin; vma != nullptr && vma->range.begin() < *end; vma = at < *end ? map_.first_ending_above(at) : nullptr) {
    const VirtRange part(at < vma->range.begin() ? vma->range.begin() : at, vma->range.end() < *end ? vma->range.end() : *end);
    // Linux tells some handlers of each move, for which it lets go of its lock (vma_multi_allowed()).
    const bool moves_alone = vma->handler != nullptr;
    if (moves_alone && (at != begin || part.end() < *end)) return fail(Errno::kFault);
    MremapRequest this_part = request;
    this_part.old_address = part.begin();
    this_part.old_length = this_part.new_length = part.size();
    this_part.new_address = request.new_address + (part.begin() - begin);
    QUIRE_TRY(const MremapRequest one, in_whole_pages(this_part, *vma));
    QUIRE_CHECK(adopt_locked(part));
    QUIRE_TRY(const Vma whole, resizable_locked(one));
    QUIRE_CHECK(remap_to_locked(whole, one));
    at = part.end();
  }
  return request.new_address;
}

// With an address, or away from pages that stay mapped.
Result<VirtAddr> AddressSpace::remap_to_locked(const Vma& vma, const MremapRequest& request) {
  const bool fixed = (request.flags & uapi::kMremapFixed) != 0;
  MremapRequest rest = request;
  const Placing place{request.new_address, request.new_length, fixed ? uapi::kMapFixed : 0U, vma.object, vma.index_of(request.old_address)};
  if (fixed) QUIRE_CHECK(munmap_locked(request.new_address, request.new_length));
  if (request.new_length < request.old_length) {
    QUIRE_CHECK(munmap_locked(request.old_address + request.new_length, request.old_length - request.new_length));
    rest.old_length = request.new_length;
  }
  if ((request.flags & uapi::kMremapDontUnmap) != 0 && !may_expand(pages_of(rest.old_length), vma.prot, vma.flags)) {
    return fail(Errno::kNoMem);
  }
  QUIRE_TRY(const VirtAddr to, place_locked(place));
  // Unmapping may have cut it, or taken it: a second mapping of memory may be asked for in place of the first.
  const Vma* left = map_.find(request.old_address);
  if (left == nullptr) return fail(Errno::kFault);
  return move_locked(Vma(*left), rest, to);
}

// The mapping that is to be resized or moved, after all that Linux's check_prep_vma() asks.
Result<Vma> AddressSpace::resizable_locked(const MremapRequest& request) {
  const Vma* vma = map_.find(request.old_address);
  if (vma == nullptr) return fail(Errno::kFault);
  // No old length: the program wants a second mapping of the same shared memory.
  if (request.old_length.raw() == 0 && !vma->is_shared()) return fail(Errno::kInval);
  if ((request.flags & uapi::kMremapDontUnmap) != 0 && vma->flags.has(VmaFlag::kFixedSize)) return fail(Errno::kInval);
  // What is cut off may lie in other mappings.
  const ByteCount kept = request.new_length < request.old_length ? request.new_length : request.old_length;
  if (kept > vma->range.end() - request.old_address) return fail(Errno::kFault);
  if (request.new_length == request.old_length) return *vma;
  const PageIndex offset = vma->index_of(request.old_address);
  if (offset.raw() + pages_of(request.new_length).raw() < offset.raw()) return fail(Errno::kInval);
  if (request.new_length < request.old_length) return *vma;
  if (vma->flags.has(VmaFlag::kFixedSize)) return fail(Errno::kFault);
  const PageCount more = pages_of(request.new_length - request.old_length);
  if (!may_lock(more, vma->flags)) return fail(Errno::kAgain);
  if (!may_expand(more, vma->prot, vma->flags)) return fail(Errno::kNoMem);
  return *vma;
}

bool AddressSpace::can_expand_locked(const Vma& vma, ByteCount more) {
  const auto end = checked_add(vma.range.end(), more);
  if (!end || memory_.geometry().user_top() < *end) return false;
  const Vma* next = map_.first_ending_above(vma.range.end());
  return next == nullptr || *end <= next->range.begin();
}

// Errors: ENOMEM, nothing changed.
Result<VirtAddr> AddressSpace::move_locked(const Vma& vma, const MremapRequest& request, VirtAddr to) {
  if (map_.size() + 3 >= limits_.max_map_count) return fail(Errno::kNoMem);
  const bool keeps_old = (request.flags & uapi::kMremapDontUnmap) != 0;
  const VirtRange from(request.old_address, request.old_length);
  Vma moved = vma;
  moved.range = VirtRange(to, request.new_length);
  moved.flags = moved.flags.without(VmaFlag::kTracked);  // what is new counts as written
  moved.forget_handler();  // Linux v6.12 fs/userfaultfd.c:mremap_userfaultfd_prep(), of who has not asked to hear of it
  // What was never written is known by its new place, so that it merges there (Linux v6.12 mm/vma.c:copy_vma()).
  const bool is_fresh = vma.object == nullptr && vma.anon.is_none();
  moved.offset = is_fresh ? page_index(to) : vma.index_of(request.old_address);

  VmaMap without_old = map_;
  if (!keeps_old) {
    if (!from.empty()) QUIRE_CHECK(without_old.erase_range(from));
  } else if (vma.flags.has(VmaFlag::kLocked) || vma.range == from) {
    // Linux v6.12 mm/mremap.c:move_vma(): the whole mapping is unlocked, and one whose pages all went is as new.
    Vma left = vma;
    left.flags = vma.flags.without(kLockedFlags);
    if (vma.range == from) left.anon = AnonTag();
    QUIRE_CHECK(without_old.replace(vma.range.begin(), left));
  }
  // Merged before the old mapping is unlocked, perhaps with it: then it stays one, unlocked and with its pages.
  VmaMap changed = keeps_old ? map_ : without_old;
  QUIRE_CHECK(changed.insert_merging(moved));
  VirtRange altered = moved.range;
  if (keeps_old) {
    Vma left = *changed.find(vma.range.begin());
    if (left.range.contains(moved.range)) altered = left.range;  // and what lies beyond
    if (left.range == vma.range && vma.range == from) left.anon = AnonTag();
    left.flags = left.flags.without(kLockedFlags);
    QUIRE_CHECK(changed.replace(left.range.begin(), left));
  }
  // Each place ends at the other, too.
  const VirtRange free_from = keeps_old || from.empty() ? from : gap_around(changed, from);
  const VirtRange free_to = gap_around(map_, moved.range);

  Move move(*this, from, to, free_from, free_to);
  Zap zap(*this, from, free_from, Counter::kUnshareMremap);
  Guards guards(*this);
  if (vma.flags.has(VmaFlag::kAsksGuarded)) guards.count_removal(from);
  QUIRE_CHECK(guards.reserve());
  QUIRE_CHECK(move.reserve());
  QUIRE_CHECK(zap.reserve());
  Gather gather(*this);
  if (vma.flags.has(VmaFlag::kAsksGuarded)) guards.remove(from, gather);
  move.run(gather);
  zap.run(gather);  // tables that are empty now
  // Flushed before anything new can be mapped, or a page faulted in, at the old place.
  gather.finish();
  commit_map(std::move(without_old), keeps_old ? vma.range : from);
  commit_map(std::move(changed), altered);
  return to;
}

}  // namespace quire
