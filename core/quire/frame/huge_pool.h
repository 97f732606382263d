// Huge pages set aside (hugetlb): a pool for each size, as Linux's hstate (docs/decisions/0016-huge-pages.md).
//
// Life cycle of a huge page: frames in a row, taken from the frame pool when the pool grows → idle → in use, its first frame being the page
// (kAnon or kObject, Frame::kLarge), the others kHugePart → idle, or frames again.
// A page that is reserved is promised to somebody and given to nobody else. More may be reserved than is idle for a moment: what a space
// gives up, and reserves anew, may still be mapped by its child. Surplus pages are those made beyond what was asked for, as many as
// `overcommit` allows; they go as soon as nobody needs them.
// Linux v6.12 mm/hugetlb.c; Documentation/admin-guide/mm/hugetlbpage.rst. Locks: its own, kHugePool; the frame pool's are taken outside it.
#pragma once

#include <cstdint>
#include <optional>

#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/lock.h"
#include "quire/base/types.h"
#include "quire/frame/frame.h"

namespace quire {

struct MemoryConfig;
class FramePool;

class HugePool {
 public:
  /// Which pages a taker may have.
  enum class From : std::uint8_t { kFree, kReserve };
  /// In pages of the pool's size.
  struct Figures {
    std::uint64_t total, idle, reserved, surplus, overcommit;
    /// What was asked for (nr_hugepages).
    [[nodiscard]] std::uint64_t persistent() const { return total - surplus; }
  };

  void init(FramePool& frames, const MemoryConfig& config, Level level);
  /// Frames of one page.
  [[nodiscard]] PageCount page_size() const { return size_; }
  [[nodiscard]] Figures figures();
  /// Makes the pool `pages` large, as far as memory can be had, or is not in use or reserved.
  void resize(std::uint64_t pages);
  void set_overcommit(std::uint64_t pages);

  /// Promises pages to the caller. Errors: ENOMEM.
  Result<void> reserve(std::uint64_t pages);
  /// The promise is taken back.
  void unreserve(std::uint64_t pages);
  /// Pages that the caller is giving up are promised to it again.
  void reserve_again(std::uint64_t pages);

  /// A page of kind kHeld with counts 0 and undefined contents, one of those promised to the caller or any other; or null.
  [[nodiscard]] Frame* take_or_null(From from);
  /// Takes a page back; for FramePool::give().
  void give(Frame& page);

 private:
  [[nodiscard]] Frame* make_or_null();
  void release(Frame* pages);
  void add(Frame& page) TA_REQ(lock_);
  [[nodiscard]] Frame* remove() TA_REQ(lock_);
  bool grow_by_one(std::uint64_t wanted);
  [[nodiscard]] std::uint64_t unpromised() const TA_REQ(lock_) { return idle_ < reserved_ ? 0 : idle_ - reserved_; }

  FramePool* frames_ = nullptr;
  const MemoryConfig* config_ = nullptr;
  PageCount size_;
  Level level_;
  SpinLock lock_;
  Frame* first_idle_ TA_GUARDED(lock_) = nullptr;
  std::uint64_t total_ TA_GUARDED(lock_) = 0, idle_ TA_GUARDED(lock_) = 0, reserved_ TA_GUARDED(lock_) = 0,
                surplus_ TA_GUARDED(lock_) = 0, overcommit_ TA_GUARDED(lock_) = 0;
};

/// The pools of a machine.
class HugePools {
 public:
  static constexpr Level kSmallest{2}, kLargest{3};  ///< x86-64: 2 MiB and 1 GiB

  void init(FramePool& frames, const MemoryConfig& config);
  /// Whether leaves of tables of `level` may map memory.
  [[nodiscard]] bool has(Level level) const { return kSmallest <= level && level <= largest_; }
  /// Pre: has(level).
  [[nodiscard]] HugePool& of(Level level) { return pools_[level.raw() - kSmallest.raw()]; }
  /// The level at whose tables an entry covers 2^shift bytes (MAP_HUGE_SHIFT); 0: the smallest. None: no such pages.
  [[nodiscard]] std::optional<Level> level_of(unsigned shift) const;
  /// Keeps no pages any more: those in use go when they are given back.
  void close();
  /// Frames of all huge pages, in use or not.
  [[nodiscard]] PageCount frames();

 private:
  Geometry geometry_ = Geometry::x86_64();
  Level largest_{0};
  HugePool pools_[2];
};

}  // namespace quire
