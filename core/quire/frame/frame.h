// A frame: 4 KiB of physical memory, described by 64 bytes. One union arm per kind.
//
// Life cycle: kUntouched (never used) → kFree ⇄ in use as anon, object page, table, slab, radix … A descriptor never goes away, so it may
// be locked and looked at after its frame was freed; whoever got there without a count revalidates under the lock (R24, R25).
// Counts: `counts` holds three numbers, who may touch the frame, how many of those are pins, and how many leaf entries name it, changed by
// one atomic operation, whose result tells the last one out (I4, I6). Tables have their own share count (S0.3).
// Moving: while a frame is migrated, entries that named it are migration entries: each holds a reference, is counted in `moving`, and is no
// leaf entry, so that "nobody can reach it" is one number read at once. A frozen frame gives no further reference to whoever comes by
// (R13).
#pragma once

#include <cstddef>
#include <cstdint>

#include "quire/arch/entry.h"
#include "quire/base/atomic.h"
#include "quire/base/geometry.h"
#include "quire/base/lock.h"
#include "quire/base/types.h"

namespace quire {

class MemoryObject;
class SlabPool;
struct Attachment;

enum class FrameKind : std::uint8_t {
  kUntouched,  ///< zero-filled descriptor: never handed out, or not RAM
  kFree,
  kHeld,       ///< handed out, not yet anything
  kAnon,       ///< private memory of an address space
  kObject,     ///< a page of a file or of shared memory
  kTable,      ///< a table of an address space, or shared among a family of them
  kLentTable,  ///< a table that a memory object owns and lends to mappings (table/lent.h)
  kZero,       ///< the zero frame and the zero tables: immortal, uncounted
  kSlab,       ///< cut into small objects of core
  kRadix,      ///< a node of an object's page index
  kKernel,     ///< the platform's own
  kFailed,     ///< memory that failed: out of use for good
  kHugeIdle,   ///< the first frame of a huge page that waits in its pool (frame/huge_pool.h); in use it is kAnon or kObject, and large
  kHugePart,   ///< one of the other frames of a huge page, in use or not
};

struct alignas(64) Frame {
  /// What the descriptor says of a page that holds data.
  struct Page {
    MemoryObject* object;
    std::uint64_t index;
    MemoryObject* source;  ///< of a private copy: the object whose page it was copied from, which lives while entries name the copy (S4.35)
    std::uint64_t source_index;
    bool operator==(const Page&) const = default;
  };
  /// … of a table. Guarded by `lock`, but for `share`.
  struct Table {
    Atomic<std::uint32_t> share;  ///< upper entries, roots' holders and snapshots that name it (I1)
    Relaxed<std::uint16_t> live;  ///< entries that are not absent
    Relaxed<std::uint16_t> leaves[kLeafClasses];  ///< level 1: present leaves by LeafClass (I10)
    std::uint16_t attachment_count;
    Attachment* attachments;      ///< level 1: the objects whose pages it holds; of a lent table: the object that lends it
    // Scratch of whoever observes (space/census.h): the pass that met the table last, and the ways that lead to it, 24 bits.
    std::uint32_t census_mark;
    std::uint16_t census_reach;
    std::uint8_t census_reach_high;
  };
  /// … of a frame cut into small objects. Guarded by the lock of the share it is in.
  struct Slab {
    SlabPool* pool;
    Frame* next;
    Frame* previous;
    std::uint16_t in_use;
    std::uint16_t first_free;  ///< object number + 1; 0: none
    std::uint16_t fresh;       ///< objects never handed out begin here
  };
  /// … of a part of a huge page.
  struct Part {
    Frame* first;  ///< whose descriptor is the page's
  };
  /// … of a free or held frame.
  struct Free {
    Frame* next;
  };

  enum Flag : std::uint16_t {
    kNoFlag = 0,
    kPoisoned = 1 << 0,  ///< the memory failed: never handed out again
    /// Of a table: a page below may be held or pinned through it: set before it is, with the space's lock held shared; cleared by a fork,
    /// with it held exclusively, after a look at all that is below (R19).
    kHoldsBelow = 1 << 2,
    kDirty = 1 << 1,     ///< was written through an entry that does not say so any more (I14)
    kFilling = 1 << 3,   ///< of an object's page: it is being read, and nobody's yet
    kOwned = 1 << 4,     ///< it holds what is nowhere else; may be written through shared mappings
    kRemoved = 1 << 5,   ///< it has left its object: nobody maps it any more
    kLarge = 1 << 6,     ///< the page is a huge one: what names it are entries of `level`
    kFromReserve = 1 << 7,  ///< of a huge page that nobody maps yet: given back, it is reserved again
  };
  static constexpr unsigned kRightsShift = 8;  ///< of a lent table: in `flags`, what its leaves grant, once and for all

  SpinLock lock;  ///< of a table: rank kTable; of a page: rank kFrame
  Relaxed<FrameKind> kind;
  Relaxed<Level> level;  ///< of a table; of a huge page: of the tables whose leaves may name it
  Relaxed<std::uint16_t> flags;  ///< of a page: changed under `lock`; of a table: kHoldsBelow
  /// Bits 0–27: references (who may touch it). 28–39: pins among them. 40–62: leaf entries that name it, each a reference too. 63: frozen.
  Atomic<std::uint64_t> counts;
  union {
    Page page;
    Table table;
    Slab slab;
    Part part;
    Free free;
  };
  std::uint32_t generation;  ///< raised each time the frame is freed
  union {
    Relaxed<std::uint32_t> moving;    ///< of a page: migration entries that stand for it; changed under `lock`
    Relaxed<std::uint32_t> slab_cpu;  ///< of a frame cut into small objects: the CPU whose share of the pool it is in
  };
  std::uint32_t audit_leaves, audit_shares;  ///< what the audit counted

  static constexpr unsigned kPinShift = 28, kLeafShift = 40;
  static constexpr std::uint64_t kOneReference = 1, kOnePin = (std::uint64_t{1} << kPinShift) | 1,
                                 kOneLeaf = (std::uint64_t{1} << kLeafShift) | 1, kFrozen = std::uint64_t{1} << 63;

  /// A further leaf entry names the frame. The caller keeps one alive meanwhile.
  void add_leaf() { counts.fetch_add(kOneLeaf); }
  /// A leaf entry is gone. True: that was the last hold; the caller frees the frame.
  [[nodiscard]] bool drop_leaf() { return counts.fetch_sub(kOneLeaf) == kOneLeaf; }
  /// A further hold; the caller keeps one alive meanwhile.
  void get() { counts.fetch_add(kOneReference); }
  /// A hold on a frame that may be free, or another's by now: false, nothing was taken. Whoever came by an entry looks at it again
  /// afterwards.
  [[nodiscard]] bool try_get() {
    std::uint64_t seen = counts.load();
    do {
      if (seen == 0 || (seen & kFrozen) != 0) return false;
    } while (!counts.compare_exchange(seen, seen + kOneReference));
    return true;
  }
  /// True: that was the last hold; the caller frees the frame.
  [[nodiscard]] bool put() { return counts.fetch_sub(kOneReference) == kOneReference; }
  /// Whether one leaf entry and nobody else holds it, or nobody whom its owner's stores may surprise: with an exclusive path, I5. A pinned
  /// private page is reached by one space only (I9), which wants whoever has pinned it to see its stores.
  [[nodiscard]] bool has_one_holder() const {
    const std::uint64_t c = counts.load();
    return c == kOneLeaf || (pins_in(c) != 0 && leaf_entries_in(c) == 1);
  }
  void pin() { counts.fetch_add(kOnePin); }
  /// True: that was the last hold; the caller frees the frame.
  [[nodiscard]] bool unpin() { return counts.fetch_sub(kOnePin) == kOnePin; }
  [[nodiscard]] std::uint32_t references() const { return references_in(counts.load_relaxed()); }
  [[nodiscard]] std::uint32_t pins() const { return pins_in(counts.load_relaxed()); }
  [[nodiscard]] std::uint32_t leaf_entries() const { return leaf_entries_in(counts.load_relaxed()); }
  static constexpr std::uint32_t references_in(std::uint64_t c) { return static_cast<std::uint32_t>(c & ((1U << kPinShift) - 1)); }
  static constexpr std::uint32_t pins_in(std::uint64_t c) {
    return static_cast<std::uint32_t>(c >> kPinShift) & ((1U << (kLeafShift - kPinShift)) - 1);
  }
  static constexpr std::uint32_t leaf_entries_in(std::uint64_t c) { return static_cast<std::uint32_t>((c & ~kFrozen) >> kLeafShift); }

  /// Whether it is a table of that level that no object lends, or one that an object does: one look at both fields, for walks.
  [[nodiscard]] bool is_own_table_of(Level wanted) const { return is_of(FrameKind::kTable, wanted); }
  [[nodiscard]] bool is_lent_table_of(Level wanted) const { return is_of(FrameKind::kLentTable, wanted); }
  [[nodiscard]] bool is_lent() const { return kind == FrameKind::kLentTable; }
  /// What the leaves of a lent table grant.
  [[nodiscard]] Prot lent_rights() const { return Prot(static_cast<std::uint8_t>(flags >> kRightsShift)); }

  /// Pages of objects: what the reverse map starts from.
  [[nodiscard]] bool is_page() const { return kind == FrameKind::kAnon || kind == FrameKind::kObject; }
  [[nodiscard]] bool is_large() const { return has_flag(kLarge); }
  /// Of a page: the level of the tables whose leaves name it.
  [[nodiscard]] Level leaf_level() const { return is_large() ? Level(level) : kLeafLevel; }
  [[nodiscard]] bool has_flag(Flag flag) const { return (flags & flag) != 0; }
  /// Of a page. Takes the frame's lock.
  void change_flags(std::uint16_t set, std::uint16_t clear) {
    const SpinGuard guard(lock, LockRank::kFrame, key());
    flags = static_cast<std::uint16_t>((flags & ~clear) | set);
  }

  // A leaf entry becomes a migration entry, is copied or goes as one, becomes a leaf entry again. Locks: the table's; takes the frame's.
  void begin_moving() {
    const SpinGuard guard(lock, LockRank::kFrame, key());
    moving = moving + 1;
    counts.fetch_sub(kOneLeaf - kOneReference);
  }
  void copy_moving() {
    const SpinGuard guard(lock, LockRank::kFrame, key());
    moving = moving + 1;
    get();
  }
  /// True: that was the last hold; the caller frees the frame.
  [[nodiscard]] bool drop_moving() {
    const SpinGuard guard(lock, LockRank::kFrame, key());
    moving = moving - 1;
    return put();
  }
  void end_moving() {
    const SpinGuard guard(lock, LockRank::kFrame, key());
    moving = moving - 1;
    counts.fetch_add(kOneLeaf - kOneReference);
  }
  [[nodiscard]] std::uint64_t key() const { return reinterpret_cast<std::uint64_t>(this); }

 private:
  [[nodiscard]] bool is_of(FrameKind wanted, Level at) const {
    using Both [[gnu::may_alias]] = std::uint16_t;
    const std::uint16_t both = __atomic_load_n(reinterpret_cast<const Both*>(&kind), __ATOMIC_RELAXED);
    return both == (static_cast<unsigned>(wanted) | static_cast<unsigned>(at.raw()) << 8);
  }
};
/// Order among table locks: upper level first, then frame number (descriptors lie in that order).
[[nodiscard]] inline std::uint64_t table_lock_key(const Frame& table) {
  return (static_cast<std::uint64_t>(kMaxLevels - Level(table.level).raw()) << 56) |
         (reinterpret_cast<std::uint64_t>(&table) & 0x00ffffffffffffffULL);
}
static_assert(offsetof(Frame, kind) % 2 == 0 && offsetof(Frame, level) == offsetof(Frame, kind) + 1 &&
                  sizeof(FrameKind) + sizeof(Level) == 2,
              "Frame::is_of reads both at once");
static_assert(sizeof(Frame) == 64, "a descriptor is one cache line (S2.15)");

}  // namespace quire
