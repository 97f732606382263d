// One entry of a table, typed. The only file that knows how x86-64 encodes it (Intel SDM 3A 4.5); no other file of core sees raw bits.
//
// An Entry is a value: reading one from a table or making one changes nothing. Kinds are told by kind(); zero objects by the
// identity of the frame, never by a mutable flag (S3.5, S3.8), so that question also needs the machine's ZeroObjects.
#pragma once

#include <cstdint>

#include "quire/base/types.h"

namespace quire {

/// What an entry is; MemoryManager::kind_of() tells, since zero objects are known by their frames.
enum class EntryKind : std::uint8_t {
  kAbsent,
  kTable,      ///< names a table of the level below
  kFrame,      ///< leaf: names a frame that is counted
  kZeroFrame,  ///< leaf: names the zero frame
  kZeroTable,  ///< names a zero table
  kRaw,        ///< leaf: physical memory without a descriptor's count (devices)
  kSwap,       ///< not present: a swap slot
  kMigration,  ///< not present: the frame is being moved
  kPoison,     ///< not present: the memory failed
  kMarker,     ///< not present: carries a property across an absent page
  kMalformed,  ///< names no frame that could be meant: never followed, never shared (S0.22)
};

/// What memory a leaf belongs to; kept in the entry so that counting it needs no look at the descriptor.
enum class LeafClass : std::uint8_t { kNone, kAnon, kFile, kShmem };
inline constexpr unsigned kLeafClasses = 4;

enum class Writable : bool { kNo, kYes };

/// An entry of a table at any level.
class Entry {
 public:
  constexpr Entry() = default;

  /// The entry for a child table. Execution is limited only by leaves and by zero tables' entries.
  static constexpr Entry table(Pfn child, Writable writable) {
    return Entry(address_bits(child) | kPresent | kUser | kAccessed | (writable == Writable::kYes ? kWrite : 0));
  }
  /// The entry for a zero table: never writable; execution as the mapping allows, since the table below cannot say.
  static constexpr Entry zero_table(Pfn child, Prot prot) {
    return Entry(address_bits(child) | kPresent | kUser | kAccessed | (prot.exec() ? 0 : kNoExecute));
  }
  /// A leaf. `prot` none gives a leaf that hardware treats as absent but that still names its frame (PROT_NONE).
  [[gnu::always_inline]] static constexpr Entry leaf(Pfn frame, LeafClass leaf_class, Prot prot, Writable writable) {
    return Entry(address_bits(frame) | (static_cast<std::uint64_t>(leaf_class) << kClassShift)).with_prot(prot, writable);
  }
  /// The leaf of physical memory that nothing counts.
  static constexpr Entry raw_leaf(Pfn frame, Prot prot) {
    return Entry(address_bits(frame) | kRawBit).with_prot(prot, Writable::kNo);
  }
  /// A leaf of a table above level 1: `first` is the first frame of what it maps.
  static constexpr Entry large_leaf(Pfn first, LeafClass leaf_class, Prot prot, Writable writable) {
    return Entry(leaf(first, leaf_class, prot, writable).bits_ | kLarge);
  }
  /// A not-present entry of kind swap, migration, poison or marker with a payload below 2^40.
  static constexpr Entry special(EntryKind kind, std::uint64_t payload) {
    return Entry((special_type(kind) << kTypeShift) | (payload << kPageShift));
  }
  /// The leaf of level 1 that would map page `n` of what a large one maps as it does.
  [[nodiscard]] constexpr Entry part(PageCount n) const { return Entry(with_frame(pfn() + n).bits_ & ~kLarge); }
  /// The same leaf of another frame.
  [[nodiscard]] constexpr Entry with_frame(Pfn to) const { return Entry((bits_ & ~kAddressMask) | address_bits(to)); }
  /// What stands in a leaf's place while its frame is moved: not present, and nothing of the leaf is lost.
  [[nodiscard]] constexpr Entry as_migration() const {
    return Entry((bits_ & ~(kPresent | kTypeMask)) | (kTypeMigration << kTypeShift) | (present() ? kWasPresent : 0));
  }
  /// The leaf that a migration entry stands for, of the frame `to`.
  [[nodiscard]] constexpr Entry migrated_to(Pfn to) const {
    const std::uint64_t kept = bits_ & ~(kTypeMask | kWasPresent | kAddressMask);
    const bool was_present = (bits_ & kWasPresent) != 0;
    return Entry(kept | address_bits(to) | (was_present ? kPresent | kUser : kTypeNoAccess << kTypeShift));
  }
  /// What stands in a leaf's place when the memory has failed. It goes on to be counted as its class (accounts are those of all sharers).
  [[nodiscard]] constexpr Entry as_poison() const {
    return Entry((bits_ & (kAddressMask | kClassMask)) | (kTypePoison << kTypeShift));
  }
  /// The same in a large leaf's place.
  [[nodiscard]] constexpr Entry as_large_poison() const { return Entry(as_poison().bits_ | kLarge); }

  /// Same leaf with other rights. W only if both allow it and it is not guarded.
  [[nodiscard, gnu::always_inline]] constexpr Entry with_prot(Prot prot, Writable writable) const {
    std::uint64_t bits = bits_ & ~(kPresent | kWrite | kUser | kNoExecute | kTypeMask);
    if (prot.none()) return Entry(bits | (kTypeNoAccess << kTypeShift));
    bits |= kPresent | kUser | kAccessed;
    if (!prot.exec()) bits |= kNoExecute;
    if (prot.write() && writable == Writable::kYes && !is_guarded()) bits |= kWrite | kDirty | kSoftDirty;
    return Entry(bits);
  }
  [[nodiscard]] constexpr Entry without_write() const { return Entry(bits_ & ~write_mask()); }
  [[nodiscard]] constexpr Entry with_write() const { return Entry(bits_ | kWrite); }
  /// A leaf that nobody writes before the mapping's handler has been asked (userfaultfd's write protection).
  [[nodiscard]] constexpr Entry with_guard() const { return Entry((bits_ | kGuard) & ~kWrite); }
  [[nodiscard]] constexpr Entry without_guard() const { return Entry(bits_ & ~kGuard); }
  /// Whether the page was written, or may have been, since it was last made forget that (Linux's soft-dirty bit). W says so at once: it is
  /// given to whoever writes.
  [[nodiscard]] constexpr bool is_soft_dirty() const { return (bits_ & kSoftDirty) != 0; }
  [[nodiscard]] constexpr Entry with_soft_dirty() const { return Entry(bits_ | kSoftDirty); }
  [[nodiscard]] constexpr Entry without_soft_dirty() const { return Entry(bits_ & ~(kSoftDirty | kWrite)); }
  /// Where there is no page: the one that comes will be guarded.
  static constexpr Entry guard_marker() { return special(EntryKind::kMarker, 0).with_guard(); }

  [[nodiscard]] constexpr bool is_absent() const { return bits_ == 0; }
  /// Whether hardware can walk through it.
  [[nodiscard]] constexpr bool present() const { return (bits_ & kPresent) != 0; }
  [[nodiscard]] constexpr bool writable() const { return (bits_ & (kPresent | kWrite)) == (kPresent | kWrite); }
  [[nodiscard]] constexpr bool executable() const { return present() && (bits_ & kNoExecute) == 0; }
  [[nodiscard]] constexpr bool accessed() const { return (bits_ & kAccessed) != 0; }
  [[nodiscard]] constexpr bool is_guarded() const { return (bits_ & kGuard) != 0; }
  [[nodiscard]] constexpr bool dirty() const { return (bits_ & kDirty) != 0; }
  /// Names a frame (as leaf or table), even if not accessible to hardware.
  [[nodiscard]] constexpr bool names_frame() const { return present() || type() == kTypeNoAccess; }
  /// Of a table above level 1: it is a leaf, or a poison entry in the place of one.
  [[nodiscard, gnu::always_inline]] constexpr bool is_large() const {
    return (bits_ & kLarge) != 0 && (names_frame() || type() == kTypePoison);
  }
  [[nodiscard]] constexpr Pfn pfn() const { return Pfn((bits_ & kAddressMask) >> kPageShift); }
  [[nodiscard]] constexpr LeafClass leaf_class() const {
    return static_cast<LeafClass>((bits_ >> kClassShift) & 3);
  }
  /// Whether it counts as a leaf of its class: it names a frame, or stands in the place of such a leaf (I10).
  [[nodiscard, gnu::always_inline]] constexpr bool is_counted() const { return names_frame() || leaf_class() != LeafClass::kNone; }
  /// A leaf whose frame is this address space's own (copy-on-write), as opposed to one of a shared object.
  [[nodiscard]] constexpr bool is_private_leaf() const { return leaf_class() == LeafClass::kAnon; }
  /// The same, and hardware may use it: one test for what nearly every leaf of a program is.
  [[nodiscard]] constexpr bool is_present_private_leaf() const {
    return (bits_ & (kPresent | kClassMask)) == (kPresent | (static_cast<std::uint64_t>(LeafClass::kAnon) << kClassShift));
  }
  /// Payload of a special entry.
  [[nodiscard]] constexpr std::uint64_t payload() const { return (bits_ & kAddressMask) >> kPageShift; }
  /// Kind of an entry of a table at `level` above 1 (`is_leaf` false) or of level 1, zero objects aside. A large leaf passes for a table.
  [[nodiscard]] constexpr EntryKind kind_without_zero(bool leaf_level) const {
    if (bits_ == 0) return EntryKind::kAbsent;
    if (names_frame()) {
      if (!leaf_level) return EntryKind::kTable;
      return (bits_ & kRawBit) != 0 ? EntryKind::kRaw : EntryKind::kFrame;
    }
    switch (type()) {
      case kTypeSwap: return EntryKind::kSwap;
      case kTypeMigration: return EntryKind::kMigration;
      case kTypePoison: return EntryKind::kPoison;
      default: return EntryKind::kMarker;
    }
  }

  /// For the writer, which alone moves entries between values and memory.
  [[nodiscard]] constexpr std::uint64_t encoded() const { return bits_; }
  static constexpr Entry decoded(std::uint64_t bits) { return Entry(bits); }
  /// The bits that forbid writing when cleared; for an atomic AND that keeps what hardware sets meanwhile.
  static constexpr std::uint64_t write_mask() { return kWrite; }
  static constexpr std::uint64_t accessed_mask() { return kAccessed; }
  static constexpr std::uint64_t soft_dirty_mask() { return kSoftDirty; }
  static constexpr std::uint64_t dirty_mask() { return kDirty; }

  friend constexpr bool operator==(Entry, Entry) = default;

 private:
  static constexpr std::uint64_t kPresent = 1ULL << 0, kWrite = 1ULL << 1, kUser = 1ULL << 2, kAccessed = 1ULL << 5,
                                 kDirty = 1ULL << 6, kLarge = 1ULL << 7, kWasPresent = 1ULL << 7, kRawBit = 1ULL << 11,
                                 kSoftDirty = 1ULL << 57, kGuard = 1ULL << 58, kNoExecute = 1ULL << 63,
                                 kAddressMask = 0x000ffffffffff000ULL;  // bits 52 to 58: available to software
  static constexpr unsigned kClassShift = 9;  // bits 9 and 10: available to software
  static constexpr std::uint64_t kClassMask = 3ULL << kClassShift;
  // Not-present entries: bits 2–4 tell what they are. Not bit 1: clearing W never changes a kind.
  static constexpr unsigned kTypeShift = 2;
  static constexpr std::uint64_t kTypeMask = 7ULL << kTypeShift, kTypeNoAccess = 1, kTypeSwap = 2, kTypeMigration = 3,
                                 kTypePoison = 4, kTypeMarker = 5;

  constexpr explicit Entry(std::uint64_t bits) : bits_(bits) {}
  static constexpr std::uint64_t address_bits(Pfn pfn) { return pfn.address().raw() & kAddressMask; }
  [[nodiscard]] constexpr std::uint64_t type() const { return present() ? 0 : (bits_ & kTypeMask) >> kTypeShift; }
  static constexpr std::uint64_t special_type(EntryKind kind) {
    switch (kind) {
      case EntryKind::kSwap: return kTypeSwap;
      case EntryKind::kMigration: return kTypeMigration;
      case EntryKind::kPoison: return kTypePoison;
      case EntryKind::kAbsent:
      case EntryKind::kTable:
      case EntryKind::kFrame:
      case EntryKind::kZeroFrame:
      case EntryKind::kZeroTable:
      case EntryKind::kRaw:
      case EntryKind::kMalformed:
      case EntryKind::kMarker: return kTypeMarker;
    }
    return kTypeMarker;
  }

  std::uint64_t bits_ = 0;
};
static_assert(sizeof(Entry) == 8);

}  // namespace quire
