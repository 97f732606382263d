// mmap: Linux's placement, checks and merging (Linux v6.12 mm/mmap.c:do_mmap(), mm/vma.c:__mmap_region(), man7 mmap(2)).

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/object/file_object.h"
#include "quire/object/huge_object.h"
#include "quire/space/address_space.h"
#include "quire/space/huge_reserve.h"
#include "quire/space/zap.h"
#include "quire/table/lent.h"
#include "quire/tlb/gather.h"
#include "quire/uapi.h"

namespace quire {

namespace {

Prot prot_of(std::uint32_t raw) { return Prot(static_cast<std::uint8_t>(raw & 7)); }

/// Huge pages are accounted in their pool.
[[gnu::noinline]] VmaFlags as_huge(VmaFlags flags, const MmapRequest& request, const MemoryObject& object, bool shared) {
  flags = flags.without(VmaFlag::kAccounted).with(VmaFlag::kHugeTlb);
  if (object.leaf_level() != HugePools::kSmallest) flags = flags | VmaFlag::kGigantic;
  return !shared && (request.flags & uapi::kMapNoReserve) == 0 ? flags | VmaFlag::kHugeReserved : flags;
}

VmaFlags flags_of(const MmapRequest& request, const MemoryObject* object, bool shared) {
  VmaFlags flags = VmaFlag::kMayWrite;
  if (shared) flags = flags | VmaFlag::kShared;
  if ((request.flags & uapi::kMapGrowsDown) != 0) flags = flags | VmaFlag::kGrowsDown;
  if ((request.flags & uapi::kMapNoReserve) != 0) flags = flags | VmaFlag::kNoReserve;
  // Linux v6.12 include/linux/mman.h:calc_vm_flag_bits()
  if ((request.flags & uapi::kMapStack) != 0) flags = flags | VmaFlag::kNoHugePage;
  // Linux v6.12 mm/vma.c:accountable_mapping()
  const bool is_accounted = !shared && (request.prot & uapi::kProtWrite) != 0 && (request.flags & uapi::kMapNoReserve) == 0;
  if (is_accounted) flags = flags | VmaFlag::kAccounted;
  if (request.size == MmapRequest::Size::kFixed) flags = flags | VmaFlag::kFixedSize;
  return object == nullptr || !object->is_huge() ? flags : as_huge(flags, request, *object, shared);
}

/// Errors: EINVAL, EACCES.
Result<void> check_device(const MmapRequest& request, MemoryObject& device) {
  const PageIndex last(request.offset.raw() + pages_of(request.length).raw() - 1);
  if (!device.has_page(last)) return fail(Errno::kInval);
  if ((request.prot & (uapi::kProtWrite | uapi::kProtExec)) != 0) return fail(Errno::kAcces);
  return {};
}

// Linux v6.12 fs/hugetlbfs/inode.c:hugetlbfs_file_mmap(), mm/mmap.c:ksys_mmap_pgoff(): whole pages, which are promised from now on.
// Errors: EINVAL, ENOMEM.
Result<void> prepare_huge(MemoryManager& memory, MmapRequest& request, HugeObject& object, HugeReservation& reservation) {
  HugePool& pool = memory.huge().of(object.leaf_level());
  const std::uint64_t unit = pool.page_size().bytes().raw();
  if (request.length.raw() > ~std::uint64_t{0} - unit) return fail(Errno::kNoMem);
  request.length = ByteCount((request.length.raw() + unit - 1) / unit * unit);
  if ((request.flags & uapi::kMapGrowsDown) != 0 || request.offset.raw() % pool.page_size().raw() != 0) return fail(Errno::kInval);
  if (memory.geometry().user_top().raw() < request.length.raw()) return fail(Errno::kNoMem);
  // A mapping that may write makes the object as long as itself.
  const ByteCount end = PageCount(request.offset.raw()).bytes() + request.length;
  if ((request.prot & uapi::kProtWrite) != 0 && object.size() < end) object.resize(end);
  if ((request.flags & uapi::kMapNoReserve) != 0) return {};
  if ((request.flags & uapi::kMapType) != uapi::kMapPrivate) return object.reserve(request.offset, pages_of(request.length));
  return reservation.get(pool, request.length.raw() / unit);
}

/// The bits of MAP_* that say how large huge pages are to be.
constexpr unsigned kHugeShift = 26, kHugeMask = 63;

}  // namespace

Result<VirtAddr> AddressSpace::mmap(const MmapRequest& request) {
  if (request.length.raw() == 0) return fail(Errno::kInval);
  MmapRequest checked = request;
  if ((checked.flags & uapi::kMapFixedNoReplace) != 0) checked.flags |= uapi::kMapFixed;
  const auto length = checked_page_ceil(checked.length);
  if (!length) return fail(Errno::kNoMem);
  checked.length = *length;
  if (checked.offset.raw() + pages_of(*length).raw() < checked.offset.raw()) return fail(Errno::kOverflow);
  const bool anonymous = (checked.flags & uapi::kMapAnonymous) != 0;
  if (!anonymous && checked.object == nullptr) return fail(Errno::kNoDev);

  // Shared anonymous memory belongs to an object of its own (S4.38), made before anything is locked.
  MemoryObject* object = anonymous ? nullptr : checked.object;
  MemoryObject* own = nullptr;
  const std::uint32_t type = checked.flags & uapi::kMapType;
  if (anonymous && (checked.flags & uapi::kMapHugeTlb) != 0) {
    const auto level = memory_.huge().level_of((checked.flags >> kHugeShift) & kHugeMask);
    if (!level) return fail(Errno::kInval);
    const std::uint64_t rest = memory_.geometry().span(*level).raw() - 1;
    QUIRE_TRY(HugeObject * made, HugeObject::create(memory_, {*level, ByteCount((length->raw() + rest) & ~rest)}));
    own = object = made;
    checked.offset = PageIndex(0);
  } else if (anonymous && type == uapi::kMapShared) {
    auto made = FileObject::create(memory_, {.size = *length});
    if (!made) return fail(made.error());
    own = object = *made;
    checked.offset = PageIndex(0);
  }
  Result<VirtAddr> result = fail(Errno::kInval);
  bool is_locked = false;
  if (object != nullptr && object->is_huge()) [[unlikely]] {
    result = mmap_huge(checked, static_cast<HugeObject&>(*object));
  } else {
    ExclusiveGuard guard(lock_);
    is_locked = (checked.flags & uapi::kMapLocked) != 0 || future_flags_.has(VmaFlag::kLocked);
    result = mmap_locked(checked, object);
  }
  if (own != nullptr) own->drop_user();
  const bool is_wanted = (checked.flags & (uapi::kMapPopulate | uapi::kMapNonBlock)) == uapi::kMapPopulate;
  // Linux ignores what cannot be faulted in here.
  if (result && (is_locked || is_wanted)) static_cast<void>(populate(VirtRange(*result, checked.length)));
  return result;
}

// Never locked, but populated as what is.
Result<VirtAddr> AddressSpace::mmap_huge(MmapRequest& request, HugeObject& object) {
  HugeReservation reservation;
  QUIRE_CHECK(prepare_huge(memory_, request, object, reservation));
  const ExclusiveGuard guard(lock_);
  const bool is_locked = (request.flags & uapi::kMapLocked) != 0 || future_flags_.has(VmaFlag::kLocked);
  if (is_locked) request.flags = (request.flags | uapi::kMapPopulate) & ~uapi::kMapNonBlock;
  const Result<VirtAddr> mapped = mmap_locked(request, &object);
  if (mapped) reservation.keep();
  return mapped;
}

Result<VirtAddr> AddressSpace::mmap_locked(const MmapRequest& request, MemoryObject* object) {
  if (map_.size() > limits_.max_map_count) return fail(Errno::kNoMem);
  QUIRE_TRY(const VirtAddr address, place_locked({request.address, request.length, request.flags, object, request.offset}));
  const VirtRange range(address, request.length);
  if ((request.flags & uapi::kMapFixedNoReplace) != 0) {
    const Vma* there = map_.first_ending_above(address);
    if (there != nullptr && there->range.overlaps(range)) return fail(Errno::kExist);
  }
  const VmaFlags lock = (request.flags & uapi::kMapLocked) != 0 ? future_flags_.with(VmaFlag::kLocked) : future_flags_;
  if ((request.flags & uapi::kMapLocked) != 0 && limits_.locked.raw() == 0) return fail(Errno::kPerm);
  if (!may_lock(range.pages(), lock)) return fail(Errno::kAgain);
  Vma vma;
  vma.range = range;
  vma.prot = prot_of(request.prot);
  vma.object = object;
  vma.label = request.label;
  switch (request.flags & uapi::kMapType) {
    case uapi::kMapShared:
    case uapi::kMapSharedValidate:
      if ((request.flags & uapi::kMapType) == uapi::kMapSharedValidate && (request.flags & uapi::kMapAnonymous) != 0) {
        return fail(Errno::kInval);
      }
      if ((request.flags & uapi::kMapGrowsDown) != 0) return fail(Errno::kInval);
      vma.flags = flags_of(request, object, true);
      vma.offset = request.offset;
      if (request.file_access == MmapRequest::FileAccess::kReadOnly) vma.flags = vma.flags.without(VmaFlag::kMayWrite);
      break;
    case uapi::kMapPrivate:
      vma.flags = flags_of(request, object, false);
      vma.offset = object != nullptr ? request.offset : page_index(address);
      break;
    default: return fail(Errno::kInval);
  }
  if (object != nullptr && object->is_device()) {
    QUIRE_CHECK(check_device(request, *object));
    vma.flags = vma.flags.without(VmaFlag::kMayWrite).with(VmaFlag::kDevice | VmaFlag::kFixedSize | VmaFlag::kDontDump);
  }
  if (!vma.flags.has_any(VmaFlag::kFixedSize | VmaFlag::kHugeTlb)) vma.flags = vma.flags.with(lock);

  // What lies under a fixed mapping goes, and does not count against the limits (S0.50, I12).
  PageCount replaced(0);
  for (const Vma& old : map_.overlapping(range)) replaced += old.clipped(range).range.pages();
  const PageCount added = range.pages() - (replaced < range.pages() ? replaced : range.pages());
  if (!may_expand(added, vma.prot, vma.flags)) return fail(Errno::kNoMem);
  QUIRE_CHECK(adopt_edges_locked(range));
  VmaMap changed = map_;
  Gather gather(*this);
  if (replaced.raw() != 0) {
    // The map with the new mapping is complete before the first entry goes: then nothing can fail any more.
    QUIRE_CHECK(changed.erase_range(range));
    VmaMap with_new = changed;
    QUIRE_CHECK(with_new.insert_merging(vma));
    if (with_new.size() > limits_.max_map_count + 1) return fail(Errno::kNoMem);
    QUIRE_CHECK(unmap_locked(range, changed, gather));
    commit_map(std::move(with_new), range);
  } else {
    QUIRE_CHECK(changed.insert_merging(vma));
    commit_map(std::move(changed), range);
  }
  return address;
}

// Linux v6.12 mm/mmap.c:__get_unmapped_area(), arch/x86/kernel/sys_x86_64.c:arch_get_unmapped_area_topdown().
Result<VirtAddr> AddressSpace::place_locked(const Placing& what) {
  const auto [hint, length, flags, object, index] = what;
  const std::uint64_t unit = what.unit(memory_.geometry()).raw();
  const VirtAddr top = memory_.geometry().user_top();
  if (length.raw() > top.raw()) return fail(Errno::kNoMem);
  if ((flags & uapi::kMapFixed) != 0) {
    if (hint.raw() > top.raw() - length.raw()) return fail(Errno::kNoMem);
    if (hint.raw() % unit != 0) return fail(Errno::kInval);
    if (hint < mmap_floor_) return fail(Errno::kPerm);
    return hint;
  }
  const auto aligned = [unit](VirtAddr at) { return VirtAddr((at.raw() + unit - 1) / unit * unit); };
  VirtAddr wanted = unit == kPageSize ? hint.page_floor() : aligned(hint);
  if (wanted.raw() != 0 && wanted < mmap_floor_) wanted = aligned(mmap_floor_);
  const ByteCount room = length + ByteCount(unit - kPageSize);  // for an aligned place, wherever the gap begins
  if ((flags & uapi::kMap32Bit) != 0) {
    // Linux searches [1 GiB, 2 GiB) from below; a hint below that is heeded, too.
    const VirtAddr low(0x40000000), high(0x80000000);
    if (wanted.raw() != 0 && length.raw() <= high.raw() && wanted.raw() <= high.raw() - length.raw()) {
      const Vma* next = map_.first_ending_above(wanted);
      if (next == nullptr || wanted + length <= begin_with_gap(*next)) return wanted;
    }
    if (const auto found = map_.lowest_gap(room, low, high < top ? high : top)) return aligned(*found);
    return fail(Errno::kNoMem);
  }
  if (wanted.raw() != 0 && wanted.raw() <= top.raw() - length.raw()) {
    const VirtRange range(wanted, length);
    const Vma* next = map_.first_ending_above(wanted);
    if (next == nullptr || range.end() <= begin_with_gap(*next)) return wanted;
  }
  const VirtAddr floor = mmap_floor_.raw() == 0 ? VirtAddr(kPageSize) : mmap_floor_;
  if (const auto found = congruent_gap(what, floor)) return *found;
  if (const auto found = map_.highest_gap(room, floor, mmap_top_)) return aligned(*found);
  // The space below mmap_top is full: try from a third of user space upward, as Linux falls back to.
  const VirtAddr third = VirtAddr(top.raw() / 3 + kPageSize - 1).page_floor();
  if (const auto found = map_.lowest_gap(room, third, top)) return aligned(*found);
  return fail(Errno::kNoMem);
}

// A place for a span of an object and more where the object can lend tables for it: congruent to its offset there, for spans as large as it
// has (Linux v6.12 mm/huge_memory.c:__thp_get_unmapped_area() does so for huge pages).
std::optional<VirtAddr> AddressSpace::congruent_gap(const Placing& what, VirtAddr floor) {
  if (what.object == nullptr || !borrows()) return std::nullopt;
  for (Level level = kHighestLentLevel; level >= what.object->leaf_level(); level = level.below()) {
    const std::uint64_t span = memory_.geometry().table_span(level).raw();
    const std::uint64_t slack = span - kPageSize;
    if (what.length.raw() < span || level >= memory_.geometry().root_level()) continue;
    const auto found = map_.highest_gap(what.length + ByteCount(slack), floor, mmap_top_);
    if (!found) continue;
    const std::uint64_t last = found->raw() + slack;
    return VirtAddr(last - ((last - (what.index.raw() << kPageShift)) & (span - 1)));
  }
  return std::nullopt;
}

}  // namespace quire
