// Free frames in the order of their numbers, for compaction (rmap/compact.h) and for huge pages (frame/huge_pool.h).

#include "quire/frame/frame_pool.h"
#include "quire/memory_manager.h"

namespace quire {

namespace {

/// Appends to a singly linked list.
struct Tail {
  Frame* first = nullptr;
  Frame* last = nullptr;
  void append(Frame* frame) {
    (last == nullptr ? first : last->free.next) = frame;
    last = frame;
  }
};

Frame* merged(Frame* a, Frame* b) {
  Tail out;
  while (a != nullptr && b != nullptr) {
    Frame*& lower = a < b ? a : b;
    Frame* const next = lower->free.next;
    out.append(lower);
    lower = next;
  }
  Frame* const rest = a != nullptr ? a : b;
  if (out.last == nullptr) return rest;
  out.last->free.next = rest;
  return out.first;
}

}  // namespace

// Bottom up: runs_[n] is a sorted list of 2^n frames, or none.
Frame* FramePool::sorted(Frame* list) {
  constexpr unsigned kRuns = 52;  // frame numbers have no more bits
  Frame* runs[kRuns] = {};
  while (list != nullptr) {
    Frame* run = list;
    list = list->free.next;
    run->free.next = nullptr;
    unsigned n = 0;
    for (; runs[n] != nullptr; ++n) {
      run = merged(runs[n], run);
      runs[n] = nullptr;
    }
    runs[n] = run;
  }
  Frame* all = nullptr;
  for (Frame* const run : runs) all = run == nullptr ? all : merged(all, run);
  return all;
}

void FramePool::sort_free() {
  for (unsigned cpu = 0; cpu < platform::kMaxCpus; ++cpu) {
    SpinGuard guard(caches_[cpu].lock, LockRank::kCpuCache, cpu);
    SpinGuard global(lock_, LockRank::kPool);
    for (; caches_[cpu].count != 0; ++free_count_) {
      Frame* const frame = caches_[cpu].frames[--caches_[cpu].count];
      frame->free.next = free_;
      free_ = frame;
    }
  }
  SpinGuard guard(lock_, LockRank::kPool);
  free_ = sorted(free_);
}

Frame* FramePool::take_lowest_or_null() {
  if (should_fail()) return nullptr;
  Frame* frame = nullptr;
  {
    SpinGuard guard(lock_, LockRank::kPool);
    if (free_ == nullptr || free_count_ <= config_->kernel_reserve.raw()) return nullptr;
    frame = free_;
    free_ = frame->free.next;
    --free_count_;
  }
  frame->kind = FrameKind::kHeld;
  frame->counts.store_relaxed(0);
  frame->flags = 0;
  counters_->add(Counter::kFrameAlloc);
  return frame;
}

// From memory that nobody has touched yet; what lies before a multiple of `count` is left to others.
Frame* FramePool::take_untouched_block(PageCount count) {
  for (unsigned i = 0; i < range_count_; ++i) {
    Range& range = ranges_[i];
    const Pfn begin((range.next.raw() + count.raw() - 1) / count.raw() * count.raw());
    if (range.end < begin || range.end - begin < count) continue;
    for (; range.next < begin; range.next = range.next + PageCount(1)) {
      Frame* const frame = &config_->descriptors[range.next.raw()];
      frame->kind = FrameKind::kFree;
      frame->free.next = free_;
      free_ = frame;
    }
    range.next = begin + count;
    return &config_->descriptors[begin.raw()];
  }
  return nullptr;
}

// From the free frames, which sort_free() has put in order.
Frame* FramePool::take_free_block(PageCount count) {
  Frame** run = nullptr;  // the link to the first of a block's frames that follow each other
  std::uint64_t length = 0;
  const Frame* previous = nullptr;
  for (Frame** link = &free_; *link != nullptr; link = &(*link)->free.next) {
    Frame* const frame = *link;
    if (static_cast<std::uint64_t>(frame - config_->descriptors) % count.raw() == 0) {
      run = link;
      length = 0;
    } else if (run != nullptr && frame != previous + 1) {
      run = nullptr;
    }
    previous = frame;
    if (run == nullptr || ++length < count.raw()) continue;
    Frame* const first = *run;
    *run = frame->free.next;
    return first;
  }
  return nullptr;
}

Frame* FramePool::take_block_or_null(PageCount count) {
  if (should_fail()) return nullptr;
  Frame* first = nullptr;
  for (bool is_sorted = false; first == nullptr; is_sorted = true) {
    {
      SpinGuard guard(lock_, LockRank::kPool);
      if (free_count_ >= config_->kernel_reserve.raw() + count.raw()) {
        first = is_sorted ? take_free_block(count) : take_untouched_block(count);
      }
      if (first != nullptr) free_count_ -= count.raw();
    }
    if (first == nullptr && is_sorted) return nullptr;
    if (first == nullptr) sort_free();
  }
  for (std::uint64_t n = 0; n < count.raw(); ++n) {
    first[n].kind = FrameKind::kHeld;
    first[n].counts.store_relaxed(0);
    first[n].flags = 0;
  }
  counters_->add(Counter::kFrameAlloc, count.raw());
  return first;
}

void FramePool::give_block(Frame* first, PageCount count) {
  for (std::uint64_t n = 0; n < count.raw(); ++n) {
    first[n].kind = FrameKind::kHeld;
    give(&first[n]);
  }
}

PageCount FramePool::longest_free_run() {
  SpinGuard guard(lock_, LockRank::kPool);
  std::uint64_t longest = 0, run = 0, last_end = 0;
  for (unsigned i = 0; i < range_count_; ++i) {
    // A range begins where no descriptor was touched before it; what lies between two ranges is no memory.
    const Range& range = ranges_[i];
    for (std::uint64_t pfn = last_end; pfn < range.next.raw(); ++pfn) {
      run = config_->descriptors[pfn].kind == FrameKind::kFree ? run + 1 : 0;
      longest = run < longest ? longest : run;
    }
    run += (range.end - range.next).raw();
    longest = run < longest ? longest : run;
    run = 0;
    last_end = range.end.raw();
  }
  return PageCount(longest);
}

}  // namespace quire
