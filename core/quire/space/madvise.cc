// madvise (Linux v6.12 mm/madvise.c:do_madvise(), man7 madvise(2)).

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/advise_walk.h"
#include "quire/space/zap.h"
#include "quire/tlb/gather.h"
#include "quire/uapi.h"

namespace quire {

namespace {

/// How a known advice is carried out.
enum class Advice : std::uint8_t {
  kInvalid,
  kNothing,
  kNothingIfUnlocked,
  kNothingIfPrivate,
  kDontNeed,
  kDontNeedLocked,
  kFlags,
  kPrivateFlags,  ///< of private mappings; others stay as they are
  kRemove,
  kPopulateRead,
  kPopulateWrite
};

struct AdviceRule {
  Advice what = Advice::kInvalid;
  VmaFlags set, cleared;
};

AdviceRule rule_of(int advice) {
  switch (advice) {
    case uapi::kMadvNormal: return {Advice::kFlags, {}, VmaFlag::kRandom | VmaFlag::kSequential};
    case uapi::kMadvRandom: return {Advice::kFlags, VmaFlag::kRandom, VmaFlag::kSequential};
    case uapi::kMadvSequential: return {Advice::kFlags, VmaFlag::kSequential, VmaFlag::kRandom};
    case uapi::kMadvDontFork: return {Advice::kFlags, VmaFlag::kDontFork, {}};
    case uapi::kMadvDoFork: return {Advice::kFlags, {}, VmaFlag::kDontFork};
    case uapi::kMadvWipeOnFork: return {Advice::kFlags, VmaFlag::kWipeOnFork, {}};
    case uapi::kMadvKeepOnFork: return {Advice::kFlags, {}, VmaFlag::kWipeOnFork};
    case uapi::kMadvDontDump: return {Advice::kFlags, VmaFlag::kDontDump, {}};
    case uapi::kMadvDoDump: return {Advice::kFlags, {}, VmaFlag::kDontDump};
    case uapi::kMadvForkCopies: return {Advice::kFlags, VmaFlag::kCopyOnFork, {}};
    case uapi::kMadvForkShares: return {Advice::kFlags, {}, VmaFlag::kCopyOnFork};
    case uapi::kMadvDontNeed: return {Advice::kDontNeed, {}, {}};
    case uapi::kMadvDontNeedLocked: return {Advice::kDontNeedLocked, {}, {}};
    case uapi::kMadvRemove: return {Advice::kRemove, {}, {}};
    // Kept, and shown by /proc, but without huge pages and merging of equal pages they change nothing, as Linux may choose, too.
    case uapi::kMadvHugePage: return {Advice::kFlags, VmaFlag::kHugePage, VmaFlag::kNoHugePage};
    case uapi::kMadvNoHugePage: return {Advice::kFlags, VmaFlag::kNoHugePage, VmaFlag::kHugePage};
    case uapi::kMadvMergeable: return {Advice::kPrivateFlags, VmaFlag::kMergeable, {}};
    case uapi::kMadvUnmergeable: return {Advice::kPrivateFlags, {}, VmaFlag::kMergeable};
    case uapi::kMadvWillNeed: return {Advice::kNothing, {}, {}};  // nothing to read ahead in memory that is not a file
    case uapi::kMadvFree: return {Advice::kNothingIfPrivate, {}, {}};  // pages go when memory runs short: it need not
    case uapi::kMadvCold:
    case uapi::kMadvPageOut: return {Advice::kNothingIfUnlocked, {}, {}};  // nowhere to page out to
    case uapi::kMadvPopulateRead: return {Advice::kPopulateRead, {}, {}};
    case uapi::kMadvPopulateWrite: return {Advice::kPopulateWrite, {}, {}};
    default: return {};
  }
}

bool begins_whole(const Geometry& geometry, const Vma& vma) { return geometry.is_aligned(vma.range.begin(), vma.leaf_level()); }

/// Whether the mapping is none for that. Only private anonymous memory can be wiped or freed, what is locked is needed, and a device's
/// memory is not the program's (Linux v6.12 mm/madvise.c:madvise_vma_behavior(), madvise_dontneed_free_valid_vma(), can_madv_lru_vma()).
bool is_refused(const Geometry& geometry, const AdviceRule& rule, const Vma& vma) {
  const VmaFlags flags = vma.flags;
  const bool is_anonymous = vma.object == nullptr && !vma.is_shared();
  switch (rule.what) {
    case Advice::kNothingIfPrivate: return !is_anonymous;
    case Advice::kDontNeed: return flags.has_any(VmaFlag::kLocked | VmaFlag::kDevice) || !begins_whole(geometry, vma);
    case Advice::kNothingIfUnlocked: return flags.has_any(VmaFlag::kLocked | VmaFlag::kDevice) || vma.is_huge();
    case Advice::kDontNeedLocked: return flags.has(VmaFlag::kDevice) || !begins_whole(geometry, vma);
    case Advice::kFlags:
      return (rule.set.has(VmaFlag::kWipeOnFork) && !is_anonymous) ||
             (rule.cleared.has(VmaFlag::kDontFork) && flags.has(VmaFlag::kDevice)) ||
             (rule.cleared.has(VmaFlag::kDontDump) && flags.has(VmaFlag::kFixedSize));
    case Advice::kInvalid:
    case Advice::kNothing:
    case Advice::kPrivateFlags:
    case Advice::kRemove:
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite: return false;
  }
  return false;
}

}  // namespace

Result<VirtRange> advised_pages(VirtAddr address, ByteCount length) {
  if (!address.is_page_aligned()) return fail(Errno::kInval);
  const auto rounded = checked_page_ceil(length);
  if (!rounded || (length.raw() != 0 && rounded->raw() == 0)) return fail(Errno::kInval);
  const auto end = checked_add(address, *rounded);
  if (!end) return fail(Errno::kInval);
  return VirtRange(address, *end);
}

Result<void> AddressSpace::madvise(VirtAddr address, ByteCount length, int advice) {
  const AdviceRule rule = rule_of(advice);
  if (rule.what == Advice::kInvalid) return fail(Errno::kInval);
  QUIRE_TRY(const VirtRange range, advised_pages(address, length));
  if (range.empty()) return {};
  if (rule.what == Advice::kRemove) return remove(range);
  if (rule.what == Advice::kPopulateRead) return fault_in(range, Access::kRead);
  if (rule.what == Advice::kPopulateWrite) return fault_in(range, Access::kWrite);

  ExclusiveGuard guard(lock_);
  const bool sets_flags = rule.what == Advice::kFlags || rule.what == Advice::kPrivateFlags;
  if (sets_flags) QUIRE_CHECK(adopt_locked(range));
  AdviseWalk walk(map_, range);
  const Geometry& geometry = memory_.geometry();
  QUIRE_CHECK(walk.run([&rule, &geometry](Vma& part) -> Result<void> {
    if (is_refused(geometry, rule, part)) return fail(Errno::kInval);
    const bool is_mergeable = !part.is_shared() && !part.is_huge() && !part.flags.has(VmaFlag::kFixedSize);
    if (rule.what != Advice::kPrivateFlags || is_mergeable) part.flags = part.flags.with(rule.set).without(rule.cleared);
    return {};
  }));
  // Linux v6.12 mm/madvise.c:madvise_vma_behavior()
  if (walk.exceeds(limits_.max_map_count)) return fail(Errno::kAgain);
  if (rule.what == Advice::kDontNeed || rule.what == Advice::kDontNeedLocked) {
    Gather gather(*this);
    QUIRE_CHECK(dont_need_locked(walk.done(), gather));
  } else if (sets_flags) {
    commit_map(std::move(walk.changed()), walk.done());
  }
  return walk.result();
}

Result<void> AddressSpace::fault_in(VirtRange range, Access access) {
  for (VirtAddr at = range.begin(), next; at < range.end(); at = next) {
    const auto vma = find(at);
    if (!vma) return fail(Errno::kNoMem);  // unlike a fault, this does not grow a stack
    // A load may do what PROT_WRITE alone allows, this may not (Linux v6.12 mm/gup.c:check_vma_flags()).
    if (vma->flags.has(VmaFlag::kDevice) || (access == Access::kRead && !vma->prot.read())) return fail(Errno::kInval);
    next = memory_.geometry().entry_range(at, vma->leaf_level()).end();
    switch (resolve_fault(at, access, Requester::kOther)) {
      case FaultOutcome::kMinor:
      case FaultOutcome::kMajor: break;
      case FaultOutcome::kMapError: return fail(Errno::kNoMem);
      case FaultOutcome::kAccessError: return fail(Errno::kInval);
      case FaultOutcome::kBusError: return fail(Errno::kFault);
      case FaultOutcome::kOutOfMemory: return fail(Errno::kNoMem);
      case FaultOutcome::kInterrupted: return fail(Errno::kIntr);
    }
  }
  return {};
}

// Whole spans are detached; the range itself bounds what goes, since the mapping stays. Of huge pages only whole ones go, and who had them
// reserved has them reserved again.
Result<void> AddressSpace::dont_need_locked(VirtRange asked, Gather& gather) {
  VirtRange range = asked;
  if (const Vma* const last = asked.empty() ? nullptr : map_.find(asked.last()); last != nullptr && asked.end() < last->range.end()) {
    range = VirtRange(asked.begin(), memory_.geometry().entry_range(asked.end(), last->leaf_level()).begin());
  }
  Zap zap(*this, range, range, Counter::kUnshareMadvise);
  if (!zap.reserve()) return fail(Errno::kAgain);
  reserve_again(range);
  zap.run(gather);
  gather.finish();
  return {};
}

}  // namespace quire
