#include "quire/frame/frame_pool.h"

#include "quire/base/assert.h"
#include "quire/frame/huge_pool.h"
#include "quire/memory_manager.h"

namespace quire {

void FramePool::init(const MemoryConfig& config, Counters& counters, HugePools& huge) {
  config_ = &config;
  counters_ = &counters;
  huge_ = &huge;
}

void FramePool::add_range(Pfn first, PageCount count) {
  SpinGuard guard(lock_, LockRank::kPool);
  QUIRE_ASSERT(range_count_ < kMaxRanges, "too many ranges of memory");
  QUIRE_ASSERT((first + count).raw() <= config_->frames.raw(), "a range beyond the descriptors");
  ranges_[range_count_++] = Range{first, first + count};
  free_count_ += count.raw();
  total_ += count;
}

bool FramePool::count_down() {
  if (countdown_.fetch_sub(1) != 1) return false;
  injected_.store(1);
  return true;
}

Frame* FramePool::take_or_null(FrameUse use) {
  if (should_fail()) return nullptr;
  const unsigned cpu = platform::current_cpu();
  Cache& cache = caches_[cpu];
  Frame* frame = nullptr;
  {
    SpinGuard guard(cache.lock, LockRank::kCpuCache, cpu);
    frame = cache.count != 0 ? cache.frames[--cache.count] : refill(cache, cpu, use);
  }
  if (frame == nullptr && (use == FrameUse::kKernel || config_->kernel_reserve < free_frames())) frame = steal();
  if (frame == nullptr) return nullptr;
  frame->kind = FrameKind::kHeld;
  frame->counts.store_relaxed(0);
  frame->flags = 0;
  counters_->add(Counter::kFrameAlloc);
  return frame;
}

Frame* FramePool::refill(Cache& cache, unsigned, FrameUse use) {
  SpinGuard guard(lock_, LockRank::kPool);
  const std::uint64_t reserve = use == FrameUse::kUser ? config_->kernel_reserve.raw() : 0;
  if (free_count_ <= reserve) return nullptr;
  // Small machines are not drained into one CPU's cache.
  const std::uint64_t spare = (free_count_ - reserve) / 8;
  const std::uint64_t batch = spare < kBatch ? spare : kBatch;
  for (std::uint64_t i = 1; i < batch; ++i) cache.frames[cache.count++] = take_global();
  return take_global();
}

Frame* FramePool::take_global() {
  --free_count_;
  if (Frame* frame = free_; frame != nullptr) {
    free_ = frame->free.next;
    return frame;
  }
  while (ranges_[range_now_].next == ranges_[range_now_].end) ++range_now_;
  Range& range = ranges_[range_now_];
  Frame* frame = &config_->descriptors[range.next.raw()];
  range.next = range.next + PageCount(1);
  frame->kind = FrameKind::kFree;
  return frame;
}

// Another CPU's cache may hold the last frames.
Frame* FramePool::steal() {
  for (unsigned cpu = 0; cpu < platform::kMaxCpus; ++cpu) {
    SpinGuard guard(caches_[cpu].lock, LockRank::kCpuCache, cpu);
    if (caches_[cpu].count != 0) return caches_[cpu].frames[--caches_[cpu].count];
  }
  return nullptr;
}

void FramePool::forget(Frame& frame) {
  std::byte* const contents = config_->window + (static_cast<std::uint64_t>(&frame - config_->descriptors) << kPageShift);
  hooks::yield_point("free_frame", contents);
  frame.kind = FrameKind::kFree;
  ++frame.generation;
  if (config_->poison_freed) {
    __builtin_memset(contents, 0x6b, kPageSize);
  }
  counters_->add(Counter::kFrameFree);
}

void FramePool::give_special(Frame& frame) {
  if (frame.is_large()) return huge_->of(frame.level).give(frame);
  forget(frame);
  retire(frame);
}

void FramePool::give(Frame* frame) {
  QUIRE_ASSERT(frame->kind != FrameKind::kFree && frame->kind != FrameKind::kZero, "I6: freed twice, or immortal");
  if ((frame->flags & (Frame::kPoisoned | Frame::kLarge)) != 0) [[unlikely]] return give_special(*frame);
  forget(*frame);
  const unsigned cpu = platform::current_cpu();
  Cache& cache = caches_[cpu];
  SpinGuard guard(cache.lock, LockRank::kCpuCache, cpu);
  if (cache.count == kCacheSize) {
    SpinGuard global(lock_, LockRank::kPool);
    for (unsigned i = 0; i < kBatch; ++i) {
      Frame* moved = cache.frames[--cache.count];
      moved->free.next = free_;
      free_ = moved;
    }
    free_count_ += kBatch;
  }
  cache.frames[cache.count++] = frame;
}

void FramePool::retire(Frame& frame) {
  frame.kind = FrameKind::kFailed;
  failed_.fetch_add(1);
}

bool FramePool::retire_free(Frame& failed) {
  const auto take_from = [&](Frame** frames, std::uint32_t& count) {
    for (std::uint32_t n = 0; n < count; ++n) {
      if (frames[n] != &failed) continue;
      frames[n] = frames[--count];
      return true;
    }
    return false;
  };
  for (unsigned cpu = 0; cpu < platform::kMaxCpus; ++cpu) {
    SpinGuard guard(caches_[cpu].lock, LockRank::kCpuCache, cpu);
    if (!take_from(caches_[cpu].frames, caches_[cpu].count)) continue;
    retire(failed);
    return true;
  }
  SpinGuard guard(lock_, LockRank::kPool);
  for (Frame** link = &free_; *link != nullptr; link = &(*link)->free.next) {
    if (*link != &failed) continue;
    *link = failed.free.next;
    --free_count_;
    retire(failed);
    return true;
  }
  return false;
}

PageCount FramePool::free_frames() {
  std::uint64_t total = 0;
  for (unsigned cpu = 0; cpu < platform::kMaxCpus; ++cpu) {
    SpinGuard guard(caches_[cpu].lock, LockRank::kCpuCache, cpu);
    total += caches_[cpu].count;
  }
  SpinGuard guard(lock_, LockRank::kPool);
  return PageCount(total + free_count_);
}

Frame* FramePool::take_contiguous_or_null(PageCount count) {
  SpinGuard guard(lock_, LockRank::kPool);
  for (unsigned i = 0; i < range_count_; ++i) {
    Range& range = ranges_[i];
    if (range.end - range.next < count) continue;
    Frame* first = &config_->descriptors[range.next.raw()];
    range.next = range.next + count;
    free_count_ -= count.raw();
    for (std::uint64_t n = 0; n < count.raw(); ++n) first[n].kind = FrameKind::kKernel;
    return first;
  }
  return nullptr;
}

Pfn FramePool::touched_end() {
  SpinGuard guard(lock_, LockRank::kPool);
  Pfn end(0);
  for (unsigned i = 0; i < range_count_; ++i) {
    if (end < ranges_[i].next) end = ranges_[i].next;
  }
  return end;
}

PageCount FramePool::untouched_frames() const TA_ATTRIBUTE(no_thread_safety_analysis) {
  // Read by audits, which run with the machine stopped.
  PageCount count(0);
  for (unsigned i = 0; i < range_count_; ++i) count += ranges_[i].end - ranges_[i].next;
  return count;
}

void FrameReservation::give_back() {
  while (held_ != 0) pool_.give(take());
}

Result<void> FrameReservation::take_more(std::uint64_t count, FrameUse use) {
  while (held_ < count) {
    Frame* frame = pool_.take_or_null(use);
    if (frame == nullptr) return fail(Errno::kNoMem);
    add(*frame);
  }
  return {};
}

Frame* FrameReservation::take() {
  QUIRE_ASSERT(held_ != 0, "I12: an operation reserved too few frames");
  Frame* frame = first_;
  first_ = frame->free.next;
  --held_;
  return frame;
}

}  // namespace quire
