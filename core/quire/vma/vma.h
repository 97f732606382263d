// A mapping, as a plain value: range, protection, flags, object, page offset. No list links, no reverse-map state.
//
// Life cycle: lives in the nodes of a VmaMap, by value; the map's nodes hold the object's user count.
#pragma once

#include <cstdint>

#include "quire/base/types.h"

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
  kHeap = 1 << 8,        ///< brk area: /proc/PID/maps prints [heap]
  kStack = 1 << 9,       ///< main stack: /proc/PID/maps prints [stack]
  kRandom = 1 << 10,
  kSequential = 1 << 11,
  kLockOnFault = 1 << 12,  ///< mlock2(MLOCK_ONFAULT); only with kLocked
  kHugePage = 1 << 13,     ///< MADV_HUGEPAGE
  kNoHugePage = 1 << 14,   ///< MADV_NOHUGEPAGE
  kMergeable = 1 << 15,    ///< MADV_MERGEABLE
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

/// Mappings with these flags are not the same in a forked child (S0.16).
inline constexpr VmaFlags kForkSpecialFlags = VmaFlag::kDontFork | VmaFlag::kWipeOnFork | VmaFlag::kLocked;

/// One mapping.
struct Vma {
  VirtRange range;
  Prot prot;
  VmaFlags flags;
  MemoryObject* object = nullptr;  ///< null for private anonymous memory
  PageIndex offset;                ///< index in `object` of the first page; for anonymous memory its page number at birth

  [[nodiscard]] bool is_shared() const { return flags.has(VmaFlag::kShared); }
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
  /// Whether `next`, which begins where this ends, can be one mapping with it (Linux v6.12 mm/vma.c:can_vma_merge_after()).
  [[nodiscard]] bool merges_with(const Vma& next) const {
    return range.end() == next.range.begin() && prot == next.prot && flags == next.flags && object == next.object &&
           offset + range.pages() == next.offset;
  }
};

}  // namespace quire
