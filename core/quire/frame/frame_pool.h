// Free frames of a machine: a global list, ranges never touched, and a cache per CPU.
//
// Life cycle: the platform adds ranges once; frames are taken and given back for ever. Frames never touched keep zero-filled descriptors,
// so that booting costs nothing per frame. Nothing here waits; out of frames is a null or ENOMEM, never more.
// Operations that need several frames take a FrameReservation before they lock anything, and then cannot fail (I12).
#pragma once

#include <cstdint>

#include "quire/base/errno.h"
#include "quire/base/lock.h"
#include "quire/base/types.h"
#include "quire/frame/frame.h"
#include "quire/platform.h"

namespace quire {

struct MemoryConfig;
class Counters;
class HugePools;

/// Whose needs a frame serves. User memory may not take the last frames (MemoryConfig::kernel_reserve).
enum class FrameUse : std::uint8_t { kUser, kKernel };

class FramePool {
 public:
  void init(const MemoryConfig& config, Counters& counters, HugePools& huge);
  /// Adds frames that nobody has touched. At most kMaxRanges ranges. Before the machine runs.
  void add_range(Pfn first, PageCount count);

  /// A frame of kind kHeld with counts 0 and undefined contents, or null.
  [[nodiscard]] Frame* take_or_null(FrameUse use);
  /// Takes a frame back, whatever it was; nobody names or touches it any more. A huge page goes back to its pool.
  void give(Frame* frame);

  /// Frames free now, everywhere; exact at rest.
  [[nodiscard]] PageCount free_frames();
  /// All frames that can be used: those that failed count no more.
  [[nodiscard]] PageCount total_frames() const { return PageCount(total_.raw() - failed_.load_relaxed()); }
  /// Takes a free frame whose memory has failed out of use; false: it is not free. One in use that is marked Frame::kPoisoned goes when it
  /// is given back.
  [[nodiscard]] bool retire_free(Frame& frame);
  /// Frames out of use (/proc/meminfo HardwareCorrupted).
  [[nodiscard]] PageCount failed_frames() const { return PageCount(failed_.load_relaxed()); }
  /// Collects the free frames of all CPUs and puts them in ascending order, those nobody has touched behind them. O(n log n), for
  /// compaction.
  void sort_free();
  /// The first of the free frames after sort_free(), for user memory, or null; frames given back meanwhile come in any place.
  [[nodiscard]] Frame* take_lowest_or_null();
  /// The longest run of free frames; exact at rest. O(frames).
  [[nodiscard]] PageCount longest_free_run();

  /// Contiguous frames from the untouched ranges, for the platform's big tables; null when there are none. Never given back.
  [[nodiscard]] Frame* take_contiguous_or_null(PageCount count);

  /// `count` frames in a row, of kind kHeld, the first of which is a multiple of `count`, for user memory; or null. O(n log n) where only
  /// frames that were used before are left.
  [[nodiscard]] Frame* take_block_or_null(PageCount count);
  /// Takes them back, one by one.
  void give_block(Frame* first, PageCount count);

  /// Test hook (FI): the n-th allocation from now on fails (1 = the next), once. 0 turns it off. Counts frames and small objects.
  void fail_after(std::uint64_t n) {
    injected_.store_relaxed(0);
    countdown_.store_relaxed(n);
  }
  /// Whether fail_after()'s failure has happened since it was set.
  [[nodiscard]] bool failure_injected() const { return injected_.load_relaxed() != 0; }
  /// For SlabPool: whether this allocation is the one to fail.
  [[nodiscard]] bool should_fail() { return countdown_.load_relaxed() != 0 && count_down(); }

  /// Frames in ranges that nobody ever took; for audits.
  [[nodiscard]] PageCount untouched_frames() const;
  /// First frame number that no frame of this pool was ever taken from at or above; bounds audits.
  [[nodiscard]] Pfn touched_end();

 private:
  static constexpr unsigned kMaxRanges = 64, kCacheSize = 64, kBatch = 32;
  struct Range {
    Pfn next, end;
  };
  struct alignas(64) Cache {
    SpinLock lock;
    std::uint32_t count = 0;
    Frame* frames[kCacheSize];
  };

  bool count_down();
  static Frame* sorted(Frame* list);
  [[gnu::always_inline]] inline void forget(Frame& frame);
  void give_special(Frame& frame);
  void retire(Frame& frame);
  Frame* take_untouched_block(PageCount count) TA_REQ(lock_);
  Frame* take_free_block(PageCount count) TA_REQ(lock_);
  Frame* refill(Cache& cache, unsigned cpu, FrameUse use) TA_REQ(cache.lock);
  Frame* take_global() TA_REQ(lock_);
  Frame* steal();

  const MemoryConfig* config_ = nullptr;
  Counters* counters_ = nullptr;
  HugePools* huge_ = nullptr;
  PageCount total_{0};
  Atomic<std::uint64_t> failed_{0};
  Atomic<std::uint64_t> countdown_{0};
  Atomic<std::uint32_t> injected_{0};
  SpinLock lock_;
  Frame* free_ TA_GUARDED(lock_) = nullptr;
  std::uint64_t free_count_ TA_GUARDED(lock_) = 0;  ///< on the list and in ranges
  Range ranges_[kMaxRanges] TA_GUARDED(lock_);
  unsigned range_count_ TA_GUARDED(lock_) = 0;
  unsigned range_now_ TA_GUARDED(lock_) = 0;
  Cache caches_[platform::kMaxCpus];
};

/// Frames promised to an operation: taken before it locks, returned with what it did not use.
class FrameReservation {
 public:
  explicit FrameReservation(FramePool& pool) : pool_(pool) {}
  ~FrameReservation() {
    if (held_ != 0) give_back();
  }
  FrameReservation(const FrameReservation&) = delete;
  FrameReservation& operator=(const FrameReservation&) = delete;

  /// Makes sure that `count` frames are held. Errors: ENOMEM (those held stay held).
  Result<void> ensure(std::uint64_t count, FrameUse use) { return held_ >= count ? Result<void>() : take_more(count, use); }
  /// Holds one more, taken from the pool by the caller or left over from something else, for give() at the end.
  void add(Frame& frame) {
    frame.free.next = first_;
    first_ = &frame;
    ++held_;
  }
  /// One of the held frames. Pre: there is one.
  [[nodiscard]] Frame* take();
  /// The frame that take() gives next. Pre: there is one.
  [[nodiscard]] Frame& first() { return *first_; }
  [[nodiscard]] std::uint64_t held() const { return held_; }

 private:
  Result<void> take_more(std::uint64_t count, FrameUse use);
  void give_back();

  FramePool& pool_;
  Frame* first_ = nullptr;
  std::uint64_t held_ = 0;
};

}  // namespace quire
