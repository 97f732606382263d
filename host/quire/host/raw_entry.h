// A table entry as the processor reads it, and the rights that a path of entries leaves.
//
// Written from the Intel SDM (3A 4.5, tables 4-15 to 4-20; rights: 4.6; accessed and dirty
// flags: 4.8), independently of core's encoder, so that a mistake in either shows as a difference.
#pragma once

#include <cstdint>

#include "quire/base/geometry.h"
#include "quire/base/types.h"

namespace quire::mmu {

/// What a user-mode access may do through the entries seen so far: R/W and U/S are ANDed along the
/// path, XD is ORed.
struct Rights {
  bool write = true;
  bool user = true;
  bool execute = true;

  [[nodiscard]] constexpr bool allow(Access access) const {
    switch (access) {
      case Access::kRead:
        return user;
      case Access::kWrite:
        return user && write;
      case Access::kExecute:
        return user && execute;
    }
    return false;
  }
  friend constexpr bool operator==(Rights, Rights) = default;
};

/// One 64-bit entry of any level.
class RawEntry {
 public:
  static constexpr std::uint64_t kPresent = 1U << 0, kWrite = 1U << 1, kUser = 1U << 2,
                                 kAccessed = 1U << 5, kDirty = 1U << 6, kPageSize = 1U << 7,
                                 kExecuteDisable = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kAddressMask = 0x000F'FFFF'FFFF'F000;

  constexpr RawEntry() = default;
  constexpr explicit RawEntry(std::uint64_t bits) : bits_(bits) {}

  [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
  [[nodiscard]] constexpr bool present() const { return (bits_ & kPresent) != 0; }
  [[nodiscard]] constexpr bool accessed() const { return (bits_ & kAccessed) != 0; }
  [[nodiscard]] constexpr bool dirty() const { return (bits_ & kDirty) != 0; }
  /// Whether the entry maps memory itself. Bit 7 is PAT at level 1 and reserved at levels 4 and 5.
  [[nodiscard]] constexpr bool maps_memory(Level level) const {
    return level == kLeafLevel || (level <= Level(3) && (bits_ & kPageSize) != 0);
  }
  [[nodiscard]] constexpr bool has_reserved_bits(Level level) const {
    return level > Level(3) && (bits_ & kPageSize) != 0;
  }
  /// The next table, or the first frame of what is mapped.
  [[nodiscard]] constexpr Pfn frame() const { return Pfn((bits_ & kAddressMask) >> kPageShift); }
  [[nodiscard]] constexpr Rights narrow(Rights above) const {
    return {.write = above.write && (bits_ & kWrite) != 0,
            .user = above.user && (bits_ & kUser) != 0,
            .execute = above.execute && (bits_ & kExecuteDisable) == 0};
  }
  friend constexpr bool operator==(RawEntry, RawEntry) = default;

 private:
  std::uint64_t bits_ = 0;
};

}  // namespace quire::mmu
