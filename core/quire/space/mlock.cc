// mlock and its relatives (Linux v6.12 mm/mlock.c, man7 mlock(2), mlockall(2)). What a lock promises is that its pages are there: faulted
// in when the call returns, or kept once touched. Private memory is never paged out yet; an object of which anybody has locked pages keeps
// all that are mapped. Figures and limits are Linux's.

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/uapi.h"

namespace quire {

namespace {

VmaFlags lock_flags(LockWhen when) {
  return when == LockWhen::kNow ? VmaFlags(VmaFlag::kLocked) : kLockedFlags;
}

}  // namespace

bool AddressSpace::may_lock(PageCount pages, VmaFlags flags) {
  return !flags.has(VmaFlag::kLocked) || limits_.locked.raw() == Limits::kInfinity ||
         (mapped_.locked + pages).raw() <= limits_.locked.raw() >> kPageShift;
}

Result<void> AddressSpace::mlock(VirtAddr address, ByteCount length, LockWhen when) {
  return lock_range(address, length, lock_flags(when));
}

Result<void> AddressSpace::munlock(VirtAddr address, ByteCount length) { return lock_range(address, length, VmaFlags()); }

Result<void> AddressSpace::lock_range(VirtAddr address, ByteCount raw_length, VmaFlags lock) {
  const VirtAddr begin = address.page_floor();
  const ByteCount offset = address - begin;
  // As Linux's PAGE_ALIGN(), which wraps.
  const ByteCount length((raw_length.raw() + offset.raw() + kPageSize - 1) & ~(kPageSize - 1));
  const auto end = checked_add(begin, length);
  {
    ExclusiveGuard guard(lock_);
    if (lock.has(VmaFlag::kLocked)) {
      if (limits_.locked.raw() == 0) return fail(Errno::kPerm);
      const std::uint64_t limit = limits_.locked.raw() >> kPageShift;
      std::uint64_t wanted = mapped_.locked.raw() + pages_of(length).raw();
      if (wanted > limit && end) {
        // What is locked already is not asked for again.
        for (const Vma& vma : map_.overlapping(VirtRange(begin, *end))) {
          if (vma.flags.has(VmaFlag::kLocked)) wanted -= vma.clipped(VirtRange(begin, *end)).range.pages().raw();
        }
      }
      if (wanted > limit && limits_.locked.raw() != Limits::kInfinity) return fail(Errno::kNoMem);
    }
    if (!end) return fail(Errno::kInval);
    QUIRE_CHECK(set_lock_locked(VirtRange(begin, *end), lock, Holes::kStop));
  }
  if (lock.has(VmaFlag::kLocked)) return populate(VirtRange(begin, *end));
  return {};
}

// Errors: ENOMEM at a hole that stops it, what lies before it changed; or nothing changed.
Result<void> AddressSpace::set_lock_locked(VirtRange range, VmaFlags lock, Holes holes) {
  QUIRE_CHECK(adopt_locked(range));
  VmaMap changed = map_;
  VirtAddr done = range.begin();
  for (const Vma& vma : map_.overlapping(range)) {
    if (done < vma.range.begin() && holes == Holes::kStop) break;
    Vma part = vma.clipped(range);
    done = part.range.end();
    if (!part.is_huge()) part.flags = part.flags.without(kLockedFlags).with(lock);  // never paged out, nor counted, as on Linux
    if (part.flags == vma.flags || vma.flags.has(VmaFlag::kFixedSize)) continue;
    QUIRE_CHECK(changed.erase_range(part.range));
    QUIRE_CHECK(changed.insert_merging(part));
  }
  if (changed.size() > map_.size() && changed.size() > limits_.max_map_count) return fail(Errno::kNoMem);
  commit_map(std::move(changed), VirtRange(range.begin(), done));
  if (done < range.end() && holes == Holes::kStop) return fail(Errno::kNoMem);
  return {};
}

// Linux v6.12 mm/gup.c:__mm_populate(), populate_vma_page_range(). Holes are passed over. Errors: ENOMEM (a page that may not be had),
// EAGAIN (no frame).
Result<void> AddressSpace::populate(VirtRange range) {
  const VmaMap now = map();
  for (const Vma& vma : now.overlapping(range)) {
    if (vma.object != nullptr && vma.flags.has(VmaFlag::kLocked)) vma.object->keep_mapped();
    if (vma.flags.has_any(VmaFlag::kLockOnFault | VmaFlag::kDevice)) continue;
    const Access access = vma.prot.write() && !vma.is_shared() ? Access::kWrite : Access::kRead;
    const VirtRange part = vma.range.intersection(range);
    for (VirtAddr at = part.begin(); at < part.end(); at = memory_.geometry().entry_range(at, vma.leaf_level()).end()) {
      switch (resolve_fault(at, access, Requester::kOther)) {
        case FaultOutcome::kMinor:
        case FaultOutcome::kMajor: break;
        case FaultOutcome::kMapError:
        case FaultOutcome::kAccessError:
        case FaultOutcome::kBusError: return fail(Errno::kNoMem);
        case FaultOutcome::kOutOfMemory: return fail(Errno::kAgain);
        case FaultOutcome::kInterrupted: return fail(Errno::kIntr);
      }
    }
  }
  return {};
}

Result<void> AddressSpace::mlockall(std::uint32_t flags) {
  if (flags == 0 || (flags & ~(uapi::kMclCurrent | uapi::kMclFuture | uapi::kMclOnFault)) != 0 || flags == uapi::kMclOnFault) {
    return fail(Errno::kInval);
  }
  const VmaFlags lock = lock_flags((flags & uapi::kMclOnFault) != 0 ? LockWhen::kOnFault : LockWhen::kNow);
  const VirtRange all(VirtAddr(0), memory_.geometry().user_top());
  {
    ExclusiveGuard guard(lock_);
    if (limits_.locked.raw() == 0) return fail(Errno::kPerm);
    const bool now = (flags & uapi::kMclCurrent) != 0;
    if (now && mapped_.all.raw() > limits_.locked.raw() >> kPageShift) return fail(Errno::kNoMem);
    if (now) QUIRE_CHECK(set_lock_locked(all, lock, Holes::kPass));
    future_flags_ = (flags & uapi::kMclFuture) != 0 ? lock : VmaFlags();
    if (!now) return {};
  }
  static_cast<void>(populate(all));  // Linux ignores errors here
  return {};
}

Result<void> AddressSpace::munlockall() {
  ExclusiveGuard guard(lock_);
  QUIRE_CHECK(set_lock_locked(VirtRange(VirtAddr(0), memory_.geometry().user_top()), VmaFlags(), Holes::kPass));
  future_flags_ = VmaFlags();
  return {};
}

}  // namespace quire
