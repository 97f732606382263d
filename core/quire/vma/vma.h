// A mapping, as a plain value: range, protection, flags, object, page offset. No list links, no reverse-map state.
//
// Life cycle: lives in the nodes of a VmaMap, by value; the map's nodes hold the object's user count.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "quire/base/atomic.h"
#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/types.h"
#include "quire/vma/fault_delegate.h"

namespace quire {

class MemoryObject;

/// Properties of a mapping beyond its protection. Values are private to Quire.
enum class VmaFlag : std::uint32_t {
  kShared = 1 << 0,      ///< MAP_SHARED: never copied on write
  kMayWrite = 1 << 1,    ///< mprotect may add PROT_WRITE (immutable; S3.4)
  kGrowsDown = 1 << 2,   ///< a stack: faults below extend it
  kNoReserve = 1 << 3,
  kDontFork = 1 << 4,    ///< MADV_DONTFORK
  kWipeOnFork = 1 << 5,  ///< MADV_WIPEONFORK
  kDontDump = 1 << 6,
  kLocked = 1 << 7,
  kAccounted = 1 << 8,   ///< counts as committed memory (Linux VM_ACCOUNT): private, once writable, not kNoReserve
  kRandom = 1 << 10,
  kSequential = 1 << 11,
  kLockOnFault = 1 << 12,  ///< mlock2(MLOCK_ONFAULT); only with kLocked
  kHugePage = 1 << 13,     ///< MADV_HUGEPAGE
  kNoHugePage = 1 << 14,   ///< MADV_NOHUGEPAGE
  kMergeable = 1 << 15,    ///< MADV_MERGEABLE
  kCopyOnFork = 1 << 16,   ///< fork shares no tables here (S0.57)
  kAsksMissing = 1 << 17,  ///< the handler is asked where there is no page (UFFDIO_REGISTER_MODE_MISSING)
  kAsksGuarded = 1 << 18,  ///< and before a guarded page is written (UFFDIO_REGISTER_MODE_WP)
  kFixedSize = 1 << 19,    ///< what the kernel gives every program: cannot grow, is not locked (Linux VM_DONTEXPAND)
  kDevice = 1 << 20,       ///< of a DeviceObject; kFixedSize, kDontDump, and never kMayWrite (Linux VM_IO | VM_PFNMAP)
  kHugeTlb = 1 << 21,      ///< of huge pages
  kGigantic = 1 << 22,     ///< … whose leaves are in tables of level 3; without it, of level 2
  kHugeReserved = 1 << 23, ///< the space has a huge page reserved for each that it has no private one of here (space/huge_reserve.h)
  kTracked = 1 << 24,      ///< entries say which pages were written since clear_refs; without it all were (Linux VM_SOFTDIRTY)
};

/// A set of VmaFlag.
class VmaFlags {
 public:
  constexpr VmaFlags() = default;
  constexpr VmaFlags(VmaFlag flag) : bits_(static_cast<std::uint32_t>(flag)) {}  // NOLINT: a flag is a set of one
  [[nodiscard]] constexpr bool has(VmaFlag flag) const { return (bits_ & static_cast<std::uint32_t>(flag)) != 0; }
  [[nodiscard]] constexpr bool has_any(VmaFlags flags) const { return (bits_ & flags.bits_) != 0; }
  [[nodiscard]] constexpr VmaFlags with(VmaFlags flags) const { return VmaFlags(bits_ | flags.bits_); }
  [[nodiscard]] constexpr VmaFlags without(VmaFlags flags) const { return VmaFlags(bits_ & ~flags.bits_); }
  friend constexpr VmaFlags operator|(VmaFlags a, VmaFlags b) { return a.with(b); }
  friend constexpr bool operator==(VmaFlags, VmaFlags) = default;

 private:
  constexpr explicit VmaFlags(std::uint32_t bits) : bits_(bits) {}
  std::uint32_t bits_ = 0;
};
constexpr VmaFlags operator|(VmaFlag a, VmaFlag b) { return VmaFlags(a) | VmaFlags(b); }

inline constexpr VmaFlags kLockedFlags = VmaFlag::kLocked | VmaFlag::kLockOnFault;
/// How a mapping is registered with its handler.
inline constexpr VmaFlags kAskingFlags = VmaFlag::kAsksMissing | VmaFlag::kAsksGuarded;

/// Mappings with these flags are not the same in a forked child (S0.16).
inline constexpr VmaFlags kForkSpecialFlags =
    VmaFlag::kDontFork | VmaFlag::kWipeOnFork | VmaFlag::kLocked | VmaFlag::kCopyOnFork | VmaFlag::kHugeReserved | kAskingFlags;

/// What an anon_vma of Linux is for the one question which neighbours may be one mapping: given to a private mapping at its first write,
/// the same for neighbours that could be one but for their rights (Linux v6.12 mm/rmap.c:__anon_vma_prepare(),
/// mm/vma.c:find_mergeable_anon_vma()). A number that is never used twice. Set once, perhaps while others read it; copies are plain values.
class AnonTag {
 public:
  constexpr AnonTag() = default;
  constexpr explicit AnonTag(std::uint64_t number) : bits_{number} {}
  /// The tag of a mapping that a fork copied: on Linux it still hangs on its parent's, too, so no mapping without a tag may join it.
  [[nodiscard]] static constexpr AnonTag of_copy(std::uint64_t number) { return AnonTag(number | kCopied); }
  AnonTag(const AnonTag& other) : bits_{other.bits()} {}
  AnonTag& operator=(const AnonTag& other) {
    bits_ = other.bits();
    return *this;
  }
  ~AnonTag() = default;

  [[nodiscard]] bool is_none() const { return bits() == 0; }
  [[nodiscard]] bool is_copied() const { return (bits() & kCopied) != 0; }
  [[nodiscard]] std::uint64_t number() const { return bits() & ~kCopied; }
  /// Sets it if nobody was faster.
  void set_if_none(AnonTag tag) { bits_.replace_if(0, tag.bits()); }
  /// The same tag; as a mapping of which map it counts, see VmaMap.
  friend bool operator==(const AnonTag& a, const AnonTag& b) { return a.bits() == b.bits(); }

 private:
  static constexpr std::uint64_t kCopied = std::uint64_t{1} << 63;
  [[nodiscard]] std::uint64_t bits() const { return bits_; }
  Relaxed<std::uint64_t> bits_{0};
};

/// What a mapping holds on to beside its object, by which it is told from others: the open file it was made from, a name. Counted by
/// whoever implements it: each node of a map holds it once. Calls come under the lock of an address space and must not wait.
class VmaLabel {
 public:
  virtual void hold() = 0;
  virtual void release() = 0;
  /// What AddressSpace::set_name() gave; none: it is something else.
  [[nodiscard]] virtual std::optional<std::string_view> name() const { return std::nullopt; }
  /// Makes pages `first` … first + count − 1 of the file a hole, for madvise(MADV_REMOVE). Called without locks of core.
  virtual Result<void> punch(PageIndex /*first*/, PageCount /*count*/) { return fail(Errno::kOpNotSupp); }
  /// Stores what was written to these pages of the file, for msync(MS_SYNC). Called without locks of core.
  virtual Result<void> store(PageIndex /*first*/, PageCount /*count*/) { return {}; }
  /// Whether mappings with these labels, null for none, do not differ by them: names are the same if they read the same.
  [[nodiscard]] static bool same(const VmaLabel* a, const VmaLabel* b) {
    return a == b || (a != nullptr && b != nullptr && a->name() && a->name() == b->name());
  }

 protected:
  ~VmaLabel() = default;
};

/// One mapping.
struct Vma {
  VirtRange range;
  Prot prot;
  VmaFlags flags;
  MemoryObject* object = nullptr;  ///< null for private anonymous memory
  PageIndex offset;                ///< index in `object` of the first page; for anonymous memory its page number at birth
  AnonTag anon;                    ///< of private memory that was written to
  VmaLabel* label = nullptr;
  FaultDelegate* handler = nullptr;  ///< with which it is registered, as its flags say

  [[nodiscard]] bool is_shared() const { return flags.has(VmaFlag::kShared); }
  [[nodiscard]] bool is_huge() const { return flags.has(VmaFlag::kHugeTlb); }
  /// The level of the tables whose leaves map it: above 1 if its pages are huge ones.
  [[nodiscard]] Level leaf_level() const {
    if (!is_huge()) return kLeafLevel;
    return flags.has(VmaFlag::kGigantic) ? Level(3) : Level(2);
  }
  /// Whether somebody is to be asked about faults of the kind that `flag`, one of kAskingFlags, names.
  [[nodiscard]] bool asks(VmaFlag flag) const { return handler != nullptr && flags.has(flag) && !handler->is_retired(); }
  void forget_handler() {
    flags = flags.without(kAskingFlags);
    handler = nullptr;
  }
  /// The object's index of the page at `address`, which lies in `range`.
  [[nodiscard]] PageIndex index_of(VirtAddr address) const {
    return offset + PageCount((address - range.begin()).raw() >> kPageShift);
  }
  /// The part of this mapping inside `part`, which overlaps it.
  [[nodiscard]] Vma clipped(VirtRange part) const {
    Vma v = *this;
    v.range = range.intersection(part);
    v.offset = index_of(v.range.begin());
    return v;
  }
  /// Whether `next` begins where this ends and says the same in all but rights and tags. Mappings of huge pages stay as they were made, as
  /// on Linux (VM_SPECIAL).
  [[nodiscard]] bool continues_in(const Vma& next) const {
    return range.end() == next.range.begin() && flags.with(VmaFlag::kTracked) == next.flags.with(VmaFlag::kTracked) && !is_huge() &&
           object == next.object && VmaLabel::same(label, next.label) && handler == next.handler && offset + range.pages() == next.offset;
  }
  /// Whether `next` could be one mapping with this, as far as their tags allow (Linux v6.12 mm/vma.c:can_vma_merge_after()).
  [[nodiscard]] bool merges_with(const Vma& next) const { return prot == next.prot && continues_in(next); }
};

}  // namespace quire
