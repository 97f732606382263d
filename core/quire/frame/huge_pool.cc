#include "quire/frame/huge_pool.h"

#include "quire/base/assert.h"
#include "quire/frame/frame_pool.h"
#include "quire/memory_manager.h"

namespace quire {

void HugePool::init(FramePool& frames, const MemoryConfig& config, Level level) {
  frames_ = &frames;
  config_ = &config;
  level_ = level;
  size_ = pages_of(config.geometry.span(level));
}

HugePool::Figures HugePool::figures() {
  const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
  return {total_, idle_, reserved_, surplus_, overcommit_};
}

// Frames in a row that are one page from now on.
Frame* HugePool::make_or_null() {
  Frame* const first = frames_->take_block_or_null(size_);
  if (first == nullptr) return nullptr;
  for (std::uint64_t n = 1; n < size_.raw(); ++n) {
    first[n].part = Frame::Part{first};
    first[n].kind = FrameKind::kHugePart;
  }
  first->level = level_;
  first->kind = FrameKind::kHugeIdle;
  return first;
}

// A list of pages that are frames again.
void HugePool::release(Frame* pages) {
  while (pages != nullptr) {
    Frame* const page = pages;
    pages = page->free.next;
    frames_->give_block(page, size_);
  }
}

void HugePool::add(Frame& page) {
  page.free.next = first_idle_;
  first_idle_ = &page;
  ++idle_;
}

Frame* HugePool::remove() {
  Frame* const page = first_idle_;
  first_idle_ = page->free.next;
  --idle_;
  return page;
}

// False: the pool is large enough, or cannot grow.
bool HugePool::grow_by_one(std::uint64_t wanted) {
  {
    const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
    if (total_ - surplus_ >= wanted) return false;
    if (surplus_ != 0) {
      --surplus_;
      return true;
    }
  }
  Frame* const fresh = make_or_null();
  if (fresh == nullptr) return false;
  const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
  add(*fresh);
  ++total_;
  return true;
}

// Linux v6.12 mm/hugetlb.c:set_max_huge_pages().
void HugePool::resize(std::uint64_t pages) {
  while (grow_by_one(pages)) {
  }
  Frame* gone = nullptr;
  {
    const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
    while (pages < total_ - surplus_ && unpromised() != 0) {
      Frame* const page = remove();
      page->free.next = gone;
      gone = page;
      --total_;
    }
    if (pages < total_ - surplus_) surplus_ = total_ - pages;  // in use: they go when they are given back
  }
  release(gone);
}

void HugePool::set_overcommit(std::uint64_t pages) {
  const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
  overcommit_ = pages;
}

// Linux v6.12 mm/hugetlb.c:gather_surplus_pages().
Result<void> HugePool::reserve(std::uint64_t pages) {
  for (;;) {
    Frame* fresh = nullptr;
    bool may_make = false;
    {
      const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
      if (pages <= unpromised()) {
        reserved_ += pages;
        return {};
      }
      const std::uint64_t lacking = pages + reserved_ - idle_;
      may_make = surplus_ <= overcommit_ && lacking <= overcommit_ - surplus_;
    }
    if (may_make) fresh = make_or_null();
    if (fresh == nullptr) {
      unreserve(0);  // what was made in vain goes
      return fail(Errno::kNoMem);
    }
    const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
    add(*fresh);
    ++total_;
    ++surplus_;
  }
}

// Surplus pages that nobody wants go with the promise (Linux v6.12 mm/hugetlb.c:return_unused_surplus_pages()).
void HugePool::unreserve(std::uint64_t pages) {
  Frame* gone = nullptr;
  {
    const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
    QUIRE_ASSERT(pages <= reserved_, "S2.4: more huge pages unreserved than were reserved");
    reserved_ -= pages;
    while (surplus_ != 0 && unpromised() != 0) {
      Frame* const page = remove();
      page->free.next = gone;
      gone = page;
      --total_;
      --surplus_;
    }
  }
  release(gone);
}

void HugePool::reserve_again(std::uint64_t pages) {
  const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
  reserved_ += pages;
}

// What is promised may be in use for a moment (see above), and a surplus page serves as well.
Frame* HugePool::take_or_null(From from) {
  if (frames_->should_fail()) return nullptr;
  Frame* page = nullptr;
  while (page == nullptr) {
    {
      const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
      if (from == From::kReserve ? idle_ != 0 : unpromised() != 0) {
        QUIRE_ASSERT(from == From::kFree || reserved_ != 0, "S2.4: a reserved huge page that nobody reserved");
        if (from == From::kReserve) --reserved_;
        page = remove();
        continue;
      }
      if (surplus_ >= overcommit_) return nullptr;
    }
    Frame* const fresh = make_or_null();
    if (fresh == nullptr) return nullptr;
    const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
    add(*fresh);
    ++total_;
    ++surplus_;
  }
  page->kind = FrameKind::kHeld;
  page->counts.store_relaxed(0);
  page->moving = 0;
  page->flags = static_cast<std::uint16_t>(Frame::kLarge | (from == From::kReserve ? Frame::kFromReserve : 0));
  return page;
}

void HugePool::give(Frame& page) {
  std::byte* const contents = config_->window + (static_cast<std::uint64_t>(&page - config_->descriptors) << kPageShift);
  hooks::yield_point("free_frame", contents);
  const bool reserves = page.has_flag(Frame::kFromReserve);
  page.kind = FrameKind::kHugeIdle;
  page.flags = 0;
  ++page.generation;
  if (config_->poison_freed) __builtin_memset(contents, 0x6b, size_.bytes().raw());
  bool is_wanted = true;
  {
    const SpinGuard guard(lock_, LockRank::kHugePool, level_.raw());
    if (reserves) ++reserved_;
    is_wanted = surplus_ == 0 || idle_ < reserved_;
    if (is_wanted) {
      add(page);
    } else {
      --total_;
      --surplus_;
    }
  }
  if (!is_wanted) frames_->give_block(&page, size_);
}

void HugePools::init(FramePool& frames, const MemoryConfig& config) {
  geometry_ = config.geometry;
  const Level largest = config.largest_leaf < kLargest ? config.largest_leaf : kLargest;
  for (Level level = kSmallest; level <= largest && level < geometry_.root_level(); level = level.above()) {
    of(level).init(frames, config, level);
    largest_ = level;
  }
}

std::optional<Level> HugePools::level_of(unsigned shift) const {
  if (shift == 0) return has(kSmallest) ? std::optional(kSmallest) : std::nullopt;
  for (Level level = kSmallest; level <= largest_; level = level.above()) {
    if (geometry_.span(level).raw() == std::uint64_t{1} << shift) return level;
  }
  return std::nullopt;
}

void HugePools::close() {
  for (Level level = kSmallest; level <= largest_; level = level.above()) {
    of(level).set_overcommit(0);
    of(level).resize(0);
  }
}

PageCount HugePools::frames() {
  std::uint64_t total = 0;
  for (Level level = kSmallest; level <= largest_; level = level.above()) total += of(level).figures().total * of(level).page_size().raw();
  return PageCount(total);
}

}  // namespace quire
