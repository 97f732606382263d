// The shape of the tree of tables, as data: how many levels, how many index bits each.
//
// The one span helper of the project (S2.27–S2.29): every "which slot", "which span", "is it partial" is answered here, for
// every level, so that no algorithm has a copy per level (S2.2, S2.9). Level 1 holds leaves; level `levels()` is the root's.
// Linux v6.12 include/linux/pgtable.h: pgd_index(), p4d_addr_end() and friends are this, once per level.
#pragma once

#include "quire/base/types.h"

namespace quire {

/// A level of the tree: 1 = leaf tables … 5. A table of level L has entries that each cover span(L).
class Level : public detail::Quantity<struct LevelTag, std::uint8_t> {
 public:
  using Quantity::Quantity;
  [[nodiscard]] constexpr Level below() const { return Level(static_cast<std::uint8_t>(raw() - 1)); }
  [[nodiscard]] constexpr Level above() const { return Level(static_cast<std::uint8_t>(raw() + 1)); }
};

inline constexpr Level kLeafLevel{1};
inline constexpr unsigned kMaxLevels = 5;
inline constexpr unsigned kMaxSlots = 512;

/// Index of an entry in its table.
using Slot = std::uint16_t;

/// Levels and index bits. x86-64 has 9 bits and 4 or 5 levels; tests also run 2 and 3 levels and narrow tables.
class Geometry {
 public:
  constexpr Geometry(unsigned levels, unsigned index_bits, VirtAddr user_top)
      : user_top_(user_top),
        slot_mask_(static_cast<Slot>((1U << index_bits) - 1)),
        levels_(static_cast<std::uint8_t>(levels)),
        index_bits_(static_cast<std::uint8_t>(index_bits)) {
    for (unsigned level = 0; level <= kMaxLevels + 1; ++level) {
      shift_[level] = static_cast<std::uint8_t>(kPageShift + (level == 0 ? 0 : (level - 1) * index_bits));
    }
  }
  /// x86-64 with 4-level paging as Linux uses it: user space ends one page below 2^47.
  static constexpr Geometry x86_64() { return Geometry(4, 9, VirtAddr((std::uint64_t{1} << 47) - kPageSize)); }
  /// All of the tree is user space.
  static constexpr Geometry tiny(unsigned levels, unsigned index_bits) {
    return Geometry(levels, index_bits, VirtAddr(std::uint64_t{1} << (kPageShift + levels * index_bits)));
  }

  [[nodiscard]] constexpr Level root_level() const { return Level(levels_); }
  [[nodiscard]] constexpr unsigned levels() const { return levels_; }
  [[nodiscard]] constexpr unsigned slots() const { return 1U << index_bits_; }
  /// First address above user space; page aligned.
  [[nodiscard]] constexpr VirtAddr user_top() const { return user_top_; }
  /// Slots of the root that belong to user space; above them the platform keeps its own entries.
  [[nodiscard]] constexpr unsigned user_root_slots() const {
    return static_cast<unsigned>((user_top_.raw() - 1) >> shift_[levels_]) + 1;
  }

  /// Bytes covered by one entry of a table at `level`.
  [[nodiscard]] constexpr ByteCount span(Level level) const { return ByteCount(std::uint64_t{1} << shift_[level.raw()]); }
  /// Bytes covered by a whole table at `level`.
  [[nodiscard]] constexpr ByteCount table_span(Level level) const {
    return ByteCount(std::uint64_t{1} << (shift_[level.raw()] + index_bits_));
  }
  [[nodiscard]] constexpr Slot slot_of(VirtAddr address, Level level) const {
    return static_cast<Slot>((address.raw() >> shift_[level.raw()]) & slot_mask_);
  }
  [[nodiscard]] constexpr Slot leaf_slot_of(VirtAddr address) const {
    return static_cast<Slot>((address.raw() >> kPageShift) & slot_mask_);
  }
  /// The span of the entry at `level` that covers `address`.
  [[nodiscard]] constexpr VirtRange entry_range(VirtAddr address, Level level) const {
    const VirtAddr begin(address.raw() & ~(span(level).raw() - 1));
    return VirtRange(begin, span(level));
  }
  /// The span of the whole table at `level` that covers `address`.
  [[nodiscard]] constexpr VirtRange table_range(VirtAddr address, Level level) const {
    const VirtAddr begin(address.raw() & ~(table_span(level).raw() - 1));
    return VirtRange(begin, table_span(level));
  }
  /// How many entries of a table at `level` cover `range`, which lies in one table's span and is not empty.
  [[nodiscard]] constexpr unsigned entries_in(VirtRange range, Level level) const {
    return slot_of(range.last(), level) - slot_of(range.begin(), level) + 1U;
  }
  /// Partial ⇔ the offset in the span is not 0 (S0.52).
  [[nodiscard]] constexpr bool is_aligned(VirtAddr address, Level level) const {
    return (address.raw() & (span(level).raw() - 1)) == 0;
  }
  friend constexpr bool operator==(const Geometry&, const Geometry&) = default;

 private:
  VirtAddr user_top_;
  Slot slot_mask_;
  std::uint8_t levels_;
  std::uint8_t index_bits_;
  std::uint8_t shift_[kMaxLevels + 2]{};
};

}  // namespace quire
