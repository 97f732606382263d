// A frame: 4 KiB of physical memory, described by 64 bytes. One union arm per kind.
//
// Life cycle: kUntouched (never used) → kFree ⇄ in use as anon, object page, table, slab, radix … A descriptor never goes away, so it may
// be locked and looked at after its frame was freed; whoever got there without a count revalidates under the lock (R24, R25).
// Counts: `counts` holds two numbers, who may touch the frame and how many leaf entries name it, changed by one atomic operation, whose
// result tells the last one out (I4, I6). Tables have their own share count (S0.3).
#pragma once

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
  kShmem,      ///< a page of a shared memory object
  kTable,
  kZero,       ///< the zero frame and the zero tables: immortal, uncounted
  kSlab,       ///< cut into small objects of core
  kRadix,      ///< a node of an object's page index
  kKernel,     ///< the platform's own
};

struct alignas(64) Frame {
  /// What the descriptor says of a page that holds data.
  struct Page {
    MemoryObject* object;
    std::uint64_t index;
  };
  /// … of a table. Guarded by `lock`, but for `share`.
  struct Table {
    Atomic<std::uint32_t> share;  ///< upper entries, roots' holders and snapshots that name it (I1)
    std::uint16_t live;           ///< entries that are not absent
    std::uint16_t leaves[kLeafClasses];  ///< level 1: present leaves by LeafClass (I10)
    std::uint16_t attachment_count;
    Attachment* attachments;      ///< level 1: the objects whose pages it holds
    std::uint64_t census;         ///< scratch of whoever observes (space/census.h)
  };
  /// … of a frame cut into small objects. Guarded by the pool's lock.
  struct Slab {
    SlabPool* pool;
    Frame* next;
    Frame* previous;
    std::uint16_t in_use;
    std::uint16_t first_free;  ///< object number + 1; 0: none
    std::uint16_t fresh;       ///< objects never handed out begin here
  };
  /// … of a free or held frame.
  struct Free {
    Frame* next;
  };

  SpinLock lock;
  Relaxed<FrameKind> kind;
  Relaxed<Level> level;  ///< of a table
  std::uint16_t flags;
  /// Low half: references (who may touch it). High half: leaf entries that name it. A leaf entry is also a reference.
  Atomic<std::uint64_t> counts;
  union {
    Page page;
    Table table;
    Slab slab;
    Free free;
  };
  std::uint32_t generation;  ///< raised each time the frame is freed
  std::uint32_t unused;
  std::uint32_t audit_leaves, audit_shares;  ///< what the audit counted

  static constexpr std::uint64_t kOneReference = 1, kOneLeaf = (std::uint64_t{1} << 32) | 1;

  /// A further leaf entry names the frame. The caller keeps one alive meanwhile.
  void add_leaf() { counts.fetch_add(kOneLeaf); }
  /// A leaf entry is gone. True: that was the last hold; the caller frees the frame.
  [[nodiscard]] bool drop_leaf() { return counts.fetch_sub(kOneLeaf) == kOneLeaf; }
  void get() { counts.fetch_add(kOneReference); }
  /// True: that was the last hold; the caller frees the frame.
  [[nodiscard]] bool put() { return counts.fetch_sub(kOneReference) == kOneReference; }
  /// Whether one leaf entry and nobody else holds it: with an exclusive path, I5.
  [[nodiscard]] bool has_one_holder() const { return counts.load() == kOneLeaf; }
  [[nodiscard]] std::uint32_t references() const { return static_cast<std::uint32_t>(counts.load_relaxed()); }
  [[nodiscard]] std::uint32_t leaf_entries() const { return static_cast<std::uint32_t>(counts.load_relaxed() >> 32); }
};
/// Order among table locks: upper level first, then frame number (descriptors lie in that order).
[[nodiscard]] inline std::uint64_t table_lock_key(const Frame& table) {
  return (static_cast<std::uint64_t>(kMaxLevels - Level(table.level).raw()) << 56) |
         (reinterpret_cast<std::uint64_t>(&table) & 0x00ffffffffffffffULL);
}
static_assert(sizeof(Frame) == 64, "a descriptor is one cache line (S2.15)");

}  // namespace quire
