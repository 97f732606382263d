// The memory manager of one machine: frames, the pools cut from them, the zero objects, the counters, the list of address spaces.
//
// Life cycle: the platform places one over its physical memory, calls init() and add_range(), and lets it go when every address space
// is gone. Everything that core allocates comes from `pool()`; there is no other heap. Does not know CPUs: that is the platform's.
#pragma once

#include <atomic>
#include <cstdint>

#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/types.h"
#include "quire/frame/frame.h"
#include "quire/frame/frame_pool.h"
#include "quire/frame/huge_pool.h"
#include "quire/object/registry.h"
#include "quire/platform.h"
#include "quire/slab/slab.h"
#include "quire/stats/counters.h"
#include "quire/stats/trace.h"
#include "quire/tlb/notifier.h"
#include "quire/zero/zero.h"

namespace quire {

class AddressSpace;
class AnonName;
class AnonObject;
class DeviceObject;
class FileObject;
class HugeObject;
struct Attachment;
struct VmaNode;

/// What the platform hands over.
struct MemoryConfig {
  Geometry geometry = Geometry::x86_64();
  platform::Machine* machine = nullptr;
  /// Where frame 0's contents are seen; frame n is at window + n × 4096. Only frames in added ranges are touched.
  std::byte* window = nullptr;
  /// Descriptors of frames 0 … frames−1, zero-filled; the platform provides the memory (64 bytes each).
  Frame* descriptors = nullptr;
  PageCount frames;
  /// Frames kept for the kernel's own needs: user allocations fail while no more than these are free.
  PageCount kernel_reserve{0};
  /// The highest level whose tables may have leaves: 3 where the processor has pages of 1 GiB.
  Level largest_leaf{3};
  /// Measuring only: contents of data frames are neither cleared nor copied, so that terabytes can be mapped.
  bool metadata_only = false;
  /// S3.10: off, read faults give private frames instead of the zero page and zero tables.
  bool zero_page = true;
  /// Freed frames and small objects are filled with a pattern, so that whoever still uses one is seen (tests).
  bool poison_freed = false;
};

class MemoryManager {
 public:
  MemoryManager() = default;
  MemoryManager(const MemoryManager&) = delete;
  MemoryManager& operator=(const MemoryManager&) = delete;

  /// Takes over the memory: call once; add at least a few frames by `ranges` first. Errors: ENOMEM, EINVAL (no usable geometry).
  struct Range {
    Pfn first;
    PageCount count;
  };
  Result<void> init(const MemoryConfig& config, const Range* ranges, unsigned range_count);

  [[nodiscard]] const MemoryConfig& config() const { return config_; }
  [[nodiscard]] const Geometry& geometry() const { return config_.geometry; }
  [[nodiscard]] platform::Machine* machine() const { return config_.machine; }
  [[nodiscard]] FramePool& pool() { return pool_; }
  /// The huge pages.
  [[nodiscard]] HugePools& huge() { return huge_; }
  [[nodiscard]] Counters& counters() { return counters_; }
  /// Tracepoints.
  [[nodiscard]] Trace& trace() { return trace_; }
  /// Only the shares `first` … `last` that forks would make from now on, counted from 0, are made; instead of the others tables are copied.
  /// For finding which shared table a fault depends on (S0.59).
  void set_share_window(std::uint64_t first, std::uint64_t last) {
    share_window_first_.store_relaxed(first);
    share_window_last_.store_relaxed(last);
    shares_asked_.store(0);
    has_share_window_.store(first == 0 && last == ~std::uint64_t{0} ? 0 : 1);
  }
  /// Whether the next share is to be made.
  [[nodiscard]] bool may_share() {
    if (has_share_window_.load_relaxed() == 0) [[likely]] return true;
    const std::uint64_t number = shares_asked_.fetch_add(1);
    return share_window_first_.load_relaxed() <= number && number <= share_window_last_.load_relaxed();
  }
  [[nodiscard]] const ZeroObjects& zero() const { return zero_; }

  [[nodiscard]] std::byte* window(Pfn pfn) const { return config_.window + (pfn.raw() << kPageShift); }
  [[nodiscard]] Frame& frame(Pfn pfn) const { return config_.descriptors[pfn.raw()]; }
  [[nodiscard]] Pfn pfn_of(const Frame& frame) const { return Pfn(static_cast<std::uint64_t>(&frame - config_.descriptors)); }
  [[nodiscard]] std::byte* contents(const Frame& frame) const { return window(pfn_of(frame)); }

  /// Whether `pfn` is a table of `level` that no object lends: what W in an upper entry makes exclusive (I3).
  [[nodiscard]] bool is_own_table(Pfn pfn, Level level) const {
    if (pfn.raw() >= config_.frames.raw()) return false;
    hooks::yield_point("look_frame", window(pfn));
    return frame(pfn).is_own_table_of(level);
  }
  /// Whether it is any: what an upper entry of the level above may name.
  [[nodiscard]] bool is_table(Pfn pfn, Level level) const {
    return is_own_table(pfn, level) || (pfn.raw() < config_.frames.raw() && frame(pfn).is_lent_table_of(level));
  }
  /// What an entry of a table at `level` is. The one place where kinds are told: zero objects by identity, before any count is looked at;
  /// entries that name no such frame are malformed (S0.22).
  [[nodiscard]] EntryKind kind_of(Entry entry, Level level) const {
    const EntryKind kind = entry.kind_without_zero(level == kLeafLevel);
    if (kind == EntryKind::kFrame) {
      if (zero_.is_zero(entry.pfn())) return entry.pfn() == zero_.frame() ? EntryKind::kZeroFrame : EntryKind::kMalformed;
      return entry.pfn().raw() < config_.frames.raw() ? EntryKind::kFrame : EntryKind::kMalformed;
    }
    if (kind == EntryKind::kTable) {
      if (zero_.is_zero(entry.pfn())) return entry.pfn() == zero_.table(level.below()) ? EntryKind::kZeroTable : EntryKind::kMalformed;
      if (is_table(entry.pfn(), level.below())) return EntryKind::kTable;
      // Last, so that tables cost no more where there are huge pages.
      return entry.is_large() && entry.pfn().raw() < config_.frames.raw() ? EntryKind::kFrame : EntryKind::kMalformed;
    }
    return kind;
  }
  /// Counts a malformed entry and writes where it was found to the log.
  void report_malformed(Entry entry, Level level, const char* where);

  /// The page that frame `pfn` is, or is a part of.
  [[nodiscard]] Frame& page_of(Pfn pfn) const {
    Frame& found = frame(pfn);
    return found.kind == FrameKind::kHugePart ? *found.part.first : found;
  }
  /// Frames of a page.
  [[nodiscard]] PageCount size_of(const Frame& page) const { return pages_of(geometry().span(page.leaf_level())); }

  /// Fills a data frame with zeros (not when measuring with metadata only).
  void clear_data(const Frame& frame) const {
    if (!config_.metadata_only) fill_zero(contents(frame));
  }
  /// Copies a data frame.
  void copy_data(const Frame& to, const Frame& from) const;
  /// The same of all frames of a huge page.
  void clear_huge(Frame& page) const;
  void copy_huge(Frame& to, const Frame& from) const;
  static void fill_zero(std::byte* page);

  [[nodiscard]] ObjectPool<AddressSpace>& spaces() { return spaces_; }
  [[nodiscard]] ObjectPool<AnonObject>& anon_objects() { return anon_objects_; }
  [[nodiscard]] ObjectPool<FileObject>& file_objects() { return file_objects_; }
  [[nodiscard]] ObjectPool<DeviceObject>& device_objects() { return device_objects_; }
  [[nodiscard]] ObjectPool<HugeObject>& huge_objects() { return huge_objects_; }
  [[nodiscard]] ObjectPool<Attachment>& attachments() { return attachments_; }
  [[nodiscard]] ObjectPool<VmaNode>& vma_nodes() { return vma_nodes_; }
  [[nodiscard]] ObjectPool<AnonName>& anon_names() { return anon_names_; }

  /// Secondary MMUs.
  [[nodiscard]] MmuNotifiers& notifiers() { return notifiers_; }
  /// The objects that live.
  [[nodiscard]] ObjectRegistry& objects() { return objects_; }
  /// Makes every CPU forget what it has cached of any address space (S2.24: also of those that do not run).
  void flush_all(FlushRequest::Depth depth);
  /// How many moves of pages have ended (rmap/migrate.h). Who meets a page that is being moved reads this, looks again, and waits for more.
  [[nodiscard]] std::uint32_t moves_of_pages() const;
  void wait_for_moves(std::uint32_t seen) const;
  void end_move();

  /// Batches of entries taken out of tables whose spaces nobody knows (truncation). A space that has not seen the last counts its resident
  /// pages anew before it tells (I10).
  void note_edit() { edits_.fetch_add(1); }
  [[nodiscard]] std::uint64_t edits() const { return edits_.load(); }

  /// A number never given before, and not 0.
  [[nodiscard]] std::uint64_t next_id() {
    const unsigned cpu = platform::current_cpu();
    return homes_[cpu].ids.fetch_add(1) * platform::kMaxCpus + cpu + 1;
  }

  /// All address spaces, for audits and statistics; in no order.
  void add_space(AddressSpace& space);
  void remove_space(AddressSpace& space);
  /// Calls `visit(space)` for each. Nothing may be created or destroyed meanwhile by `visit`.
  template <typename Visit>
  void for_each_space(Visit visit) {
    for (Home& home : homes_) {
      SpinGuard guard(home.lock, LockRank::kSpaces);
      for (AddressSpace* space = home.first_space; space != nullptr; space = next_space(*space)) visit(*space);
    }
  }
  /// The space after `space` in the list (null: the first) of `family` (0: of any, if made), with one more holder: the caller releases it.
  /// `space` is held by the caller. Spaces that come or go meanwhile may or may not be met.
  [[nodiscard]] AddressSpace* hold_next_space(AddressSpace* space, std::uint64_t family);
  /// One observer at a time (space/observe.h).
  [[nodiscard]] RwLock& observers() { return observers_; }
  /// Physical tables in use, each once (/proc/meminfo PageTables).
  [[nodiscard]] PageCount tables_in_use() const {
    return PageCount(counters_.sum(Counter::kTableAlloc) - counters_.sum(Counter::kTableFree));
  }

 private:
  friend class Census;
  /// What a CPU has of its own, so that processes that begin and end elsewhere do not meet it (S0.65).
  struct alignas(64) Home {
    SpinLock lock;
    Relaxed<AddressSpace*> first_space{nullptr};  ///< of those made on this CPU; changed under the lock
    Atomic<std::uint64_t> ids{0};                 ///< how many next_id() has given here
  };
  static AddressSpace* next_space(AddressSpace& space);

  MemoryConfig config_;
  FramePool pool_;
  HugePools huge_;
  Counters counters_;
  Trace trace_;
  Atomic<std::uint32_t> has_share_window_{0};
  Atomic<std::uint64_t> share_window_first_{0}, share_window_last_{0}, shares_asked_{0};
  ZeroObjects zero_;
  ObjectPool<AddressSpace> spaces_;
  ObjectPool<AnonObject> anon_objects_;
  ObjectPool<FileObject> file_objects_;
  ObjectPool<DeviceObject> device_objects_;
  ObjectPool<HugeObject> huge_objects_;
  ObjectPool<Attachment> attachments_;
  ObjectPool<VmaNode> vma_nodes_;
  ObjectPool<AnonName> anon_names_;
  ObjectRegistry objects_{*this};
  MmuNotifiers notifiers_;
  std::atomic<std::uint32_t> moves_of_pages_{0};
  Atomic<std::uint64_t> edits_{0};
  RwLock observers_{LockRank::kObserve};
  std::uint32_t census_mark_ TA_GUARDED(observers_) = 0;
  Home homes_[platform::kMaxCpus];
};

}  // namespace quire
