#include "quire/object/file_object.h"

#include <algorithm>
#include <array>

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/object/page_removal.h"

namespace quire {

namespace {

/// Pages read at once.
constexpr std::uint64_t kMostRead = 64;
/// Pages taken out between two walks.
constexpr unsigned kBatch = 64;

// Not a Result, and not inlined: g++ 12 believes those here uninitialized.
[[gnu::noinline]] bool has_frames(FrameReservation& frames, std::uint64_t count) {
  return frames.ensure(count, FrameUse::kUser).has_value();
}

/// The right to keep one page more, until it is used.
class Charge {
 public:
  explicit Charge(PageAccount* account) : account_(account), held_(account == nullptr) {}
  ~Charge() {
    if (held_ && account_ != nullptr) account_->uncharge(PageCount(1));
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  [[nodiscard]] bool is_held() const { return held_; }
  Result<void> get() {
    QUIRE_CHECK(account_->charge());
    held_ = true;
    return {};
  }
  void spend() { held_ = account_ == nullptr; }

 private:
  PageAccount* account_;
  bool held_;
};

}  // namespace

Result<FileObject*> FileObject::create(MemoryManager& memory, const Config& config) {
  FileObject* object = memory.file_objects().make_or_null(memory, config);
  if (object == nullptr) return fail(Errno::kNoMem);
  return object;
}

void FileObject::put_page(Frame& page) {
  if (page.put()) memory_.pool().give(&page);
}

Result<ObjectPage> FileObject::get_page(PageIndex index, Access access) {
  auto page = find_or_make(index, access, Limit::kEnd);
  if (page && access == Access::kWrite && gives_notice()) config_.source->note_mapped_write();
  return page;
}

Result<Frame*> FileObject::page_for_read(PageIndex index) { return page_for(index, Access::kRead, Limit::kEnd); }

Result<Frame*> FileObject::page_for_write(PageIndex index) { return page_for(index, Access::kWrite, Limit::kNone); }

Result<Frame*> FileObject::page_for(PageIndex index, Access access, Limit limit) {
  for (;;) {
    const std::uint32_t moves = memory_.moves_of_pages();
    const auto page = find_or_make(index, access, limit);
    if (page) return page->frame;
    if (page.error() != Errno::kAgain) return fail(page.error());
    memory_.wait_for_moves(moves);
  }
}

Frame* FileObject::page_or_null(PageIndex index) {
  for (;;) {
    const std::uint32_t fills = fills_.load(), moves = memory_.moves_of_pages();
    bool is_filling = false;
    {
      SpinGuard guard(lock_, LockRank::kObject, lock_key());
      Frame* const page = tree_.find(index);
      if (page == nullptr) return nullptr;
      is_filling = page->has_flag(Frame::kFilling);
      if (!is_filling && page->try_get()) return page;
    }
    if (is_filling) {
      wait_for_fills(fills);
    } else {
      memory_.wait_for_moves(moves);
    }
  }
}

Result<ObjectPage> FileObject::find_or_make(PageIndex index, Access access, Limit limit) {
  enum class Lacking : std::uint8_t { kNodes, kPage, kCharge, kContents, kOthersFill } lacking;
  FrameReservation nodes(memory_.pool()), page(memory_.pool());
  Charge charge(config_.account);
  bool was_read = false;
  for (;;) {
    const std::uint32_t fills = fills_.load();
    {
      SpinGuard guard(lock_, LockRank::kObject, lock_key());
      if (limit == Limit::kEnd && is_beyond_end(index)) return fail(Errno::kFault);
      Frame* found = tree_.find(index);
      if (found == nullptr && config_.source != nullptr) {
        lacking = Lacking::kContents;
      } else if (found == nullptr && !charge.is_held()) {
        lacking = Lacking::kCharge;
      } else if (found == nullptr && page.held() == 0) {
        lacking = Lacking::kPage;
      } else {
        if (found == nullptr) {
          Frame** const place = tree_.place(index, nodes);
          if (place != nullptr) {
            found = page.take();
            keep_locked(*place, index, *found);
            charge.spend();
          }
        }
        const bool must_own = found != nullptr && access == Access::kWrite && !found->has_flag(Frame::kOwned);
        if (found == nullptr) {
          lacking = Lacking::kNodes;
        } else if (found->has_flag(Frame::kPoisoned)) {
          return fail(Errno::kIo);
        } else if (found->has_flag(Frame::kFilling)) {
          lacking = Lacking::kOthersFill;
        } else if (must_own && !charge.is_held()) {
          lacking = Lacking::kCharge;
        } else {
          if (!found->try_get()) return fail(Errno::kAgain);
          if (must_own) {
            found->change_flags(Frame::kOwned, 0);
            owned_.fetch_add(1);
            charge.spend();
          }
          return ObjectPage{found, was_read};
        }
      }
    }
    switch (lacking) {
      case Lacking::kNodes:
        if (!has_frames(nodes, PageTree::kMostNodes)) return fail(Errno::kNoMem);
        break;
      case Lacking::kPage:
        if (!has_frames(page, 1)) return fail(Errno::kNoMem);
        memory_.clear_data(page.first());
        break;
      case Lacking::kCharge: QUIRE_CHECK(charge.get()); break;
      case Lacking::kContents:
        was_read = true;
        QUIRE_CHECK(fill(index, nodes));
        break;
      case Lacking::kOthersFill:
        was_read = true;
        wait_for_fills(fills);
        break;
    }
  }
}

void FileObject::keep_locked(Frame*& place, PageIndex index, Frame& page) {
  page.page = Frame::Page{this, index.raw(), nullptr, 0};
  page.flags = Frame::kOwned;
  page.kind = FrameKind::kObject;
  page.counts.store(Frame::kOneReference);  // the object's own; last of all, for those who come by the frame (S4.22)
  place = &page;
  resident_.fetch_add(1);
  owned_.fetch_add(1);
}

Result<Frame*> FileObject::find_page(PageIndex index) {
  Frame* page = nullptr;
  {
    SpinGuard guard(lock_, LockRank::kObject, lock_key());
    if (is_beyond_end(index)) return fail(Errno::kFault);
  }
  page = page_or_null(index);
  if (page == nullptr || !page->has_flag(Frame::kPoisoned)) return page;
  put_page(*page);
  return fail(Errno::kIo);
}

Result<void> FileObject::add_page(PageIndex index, Frame& filled) {
  if (config_.source != nullptr) return fail(Errno::kInval);
  Charge charge(config_.account);
  if (!charge.is_held()) QUIRE_CHECK(charge.get());
  FrameReservation nodes(memory_.pool());
  if (!has_frames(nodes, PageTree::kMostNodes)) return fail(Errno::kNoMem);
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  if (is_beyond_end(index)) return fail(Errno::kFault);
  if (tree_.find(index) != nullptr) return fail(Errno::kExist);
  Frame** const place = tree_.place(index, nodes);
  QUIRE_ASSERT(place != nullptr, "I12: too few nodes for a page");
  keep_locked(*place, index, filled);
  static_cast<void>(filled.try_get());
  charge.spend();
  return {};
}

// Reads the absent pages around `index`, as many as its source finds worth it and there are frames for.
Result<void> FileObject::fill(PageIndex index, FrameReservation& nodes) {
  const FileSource::Cluster cluster = config_.source->cluster(index);
  FrameReservation frames(memory_.pool());
  const std::uint64_t wished = std::min(cluster.count.raw(), kMostRead);
  if (!has_frames(frames, wished) && frames.held() == 0) return fail(Errno::kNoMem);
  if (!has_frames(nodes, 2 * PageTree::kMostNodes)) return fail(Errno::kNoMem);  // consecutive pages: two new nodes a level at most
  std::array<Frame*, kMostRead> pages;
  std::uint64_t first = index.raw(), count = 0;
  {
    SpinGuard guard(lock_, LockRank::kObject, lock_key());
    const std::uint64_t most = frames.held(), cluster_end = cluster.first.raw() + cluster.count.raw();
    if (tree_.find(index) != nullptr) return {};  // somebody was faster
    while (first > cluster.first.raw() && index.raw() - first + 1 < most && tree_.find(PageIndex(first - 1)) == nullptr) --first;
    for (std::uint64_t n = first; count < most && (n <= index.raw() || n < cluster_end) && tree_.find(PageIndex(n)) == nullptr; ++n) {
      Frame** const place = tree_.place(PageIndex(n), nodes);
      QUIRE_ASSERT(place != nullptr, "I12: too few nodes for consecutive pages");
      Frame* const fresh = frames.take();
      fresh->page = Frame::Page{this, n, nullptr, 0};
      fresh->flags = Frame::kFilling;
      fresh->kind = FrameKind::kObject;
      fresh->counts.store(2 * Frame::kOneReference);  // the object's and ours
      *place = pages[count++] = fresh;
    }
    resident_.fetch_add(count);
  }
  const std::span<Frame* const> made(pages.data(), count);
  const Result<void> read = config_.source->read(PageIndex(first), made);
  settle(PageIndex(first), made, read.has_value());
  return read;
}

void FileObject::settle(PageIndex first, std::span<Frame* const> pages, bool filled) {
  for (std::size_t n = 0; n < pages.size(); ++n) {
    Frame& page = *pages[n];
    unsigned references = 1;
    {
      SpinGuard guard(lock_, LockRank::kObject, lock_key());
      const bool gives_up = !filled && !page.has_flag(Frame::kRemoved);
      if (gives_up) {
        tree_.at(first + PageCount(n)) = nullptr;
        resident_.fetch_sub(1);
        ++references;
      }
      page.change_flags(gives_up ? Frame::kRemoved : Frame::kNoFlag, Frame::kFilling);
    }
    for (; references != 0; --references) put_page(page);
  }
  fills_.fetch_add(1);
  platform::wake(fills_);
}

bool FileObject::replace_page(PageIndex index, Frame& from, Frame& to) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  if (from.has_flag(Frame::kRemoved)) return false;
  Frame*& place = tree_.at(index);
  QUIRE_ASSERT(place == &from, "I8: a page that is not where its frame says");
  place = &to;
  return true;
}

bool FileObject::has_page(PageIndex index) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  const Frame* const page = tree_.find(index);
  return page != nullptr && !page->has_flag(Frame::kFilling);
}

// Not of memory files: there nothing is read ahead, and what a process has resident stays what it touched.
void FileObject::hold_present(PageIndex first, std::span<Frame*> pages) {
  if (config_.source == nullptr) return MemoryObject::hold_present(first, pages);
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  for (std::size_t n = 0; n < pages.size(); ++n) {
    const PageIndex index = first + PageCount(n);
    Frame* const page = is_beyond_end(index) ? nullptr : tree_.find(index);
    const bool is_there = page != nullptr && !page->has_flag(Frame::kFilling) && !page->has_flag(Frame::kPoisoned) && page->try_get();
    pages[n] = is_there ? page : nullptr;
  }
}

bool FileObject::owns(const Frame& page) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  return tree_.find(PageIndex(page.page.index)) == &page;
}

std::optional<PageIndex> FileObject::next_owned(PageIndex from) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  for (PageIndex at = from; const Frame* page = tree_.next(at); at = at + PageCount(1)) {
    if (page->has_flag(Frame::kOwned)) return at;
  }
  return std::nullopt;
}

PageIndex FileObject::next_hole(PageIndex from) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  for (PageIndex at = from;; at = at + PageCount(1)) {
    const Frame* const page = tree_.find(at);
    if (page == nullptr || !page->has_flag(Frame::kOwned)) return at;
  }
}

PageCount FileObject::drop_clean() {
  if (config_.source == nullptr) return PageCount(0);
  static_cast<void>(drop_idle_tables());  // or they would keep the pages that they map
  std::uint64_t dropped = 0;
  PageIndex at(0);
  for (bool more = true; more;) {
    std::array<Frame*, kBatch> batch;
    unsigned count = 0;
    {
      SpinGuard guard(lock_, LockRank::kObject, lock_key());
      for (unsigned looked = 0; looked < kBatch; ++looked, at = at + PageCount(1)) {
        Frame* const page = tree_.next(at);
        more = page != nullptr;
        if (!more) break;
        if (must_stay(*page) || page->has_flag(Frame::kFilling)) continue;
        // Nobody but us: whoever wants it comes through the tree, and so has to wait for the lock.
        std::uint64_t ours = Frame::kOneReference;
        if (!page->counts.compare_exchange(ours, 0)) continue;
        tree_.at(at) = nullptr;
        batch[count++] = page;
      }
      resident_.fetch_sub(count);
    }
    for (unsigned n = 0; n < count; ++n) memory_.pool().give(batch[n]);
    dropped += count;
  }
  return PageCount(dropped);
}

// The page's own reference is the caller's from now on.
void FileObject::take_out_locked(PageIndex index, Frame& page) {
  tree_.at(index) = nullptr;
  page.change_flags(Frame::kRemoved, 0);
  resident_.fetch_sub(1);
  if (page.has_flag(Frame::kOwned)) owned_.fetch_sub(1);
}

void FileObject::unmap_removed(PageIndex first, PageIndex last) { PageRemoval(*this, Copies::kStay).run(first, last); }

void FileObject::remove(PageIndex first, PageIndex last, Which which, Copies copies) {
  PageIndex at = first;
  for (bool more = true; more;) {
    std::array<Frame*, kBatch> batch;
    unsigned count = 0, charges = 0;
    const PageIndex from = at;
    {
      SpinGuard guard(lock_, LockRank::kObject, lock_key());
      for (unsigned looked = 0; looked < kBatch; ++looked, at = at + PageCount(1)) {
        Frame* const page = tree_.next(at);
        more = page != nullptr && at <= last;
        if (!more) break;
        if (which == Which::kCopies && (must_stay(*page) || page->pins() != 0)) continue;  // a pinned one may be being written
        if (page->has_flag(Frame::kOwned)) ++charges;
        take_out_locked(at, *page);
        batch[count++] = page;
      }
    }
    if (count == 0) continue;
    if (config_.account != nullptr && charges != 0) config_.account->uncharge(PageCount(charges));
    unmap_removed(from, PageIndex(batch[count - 1]->page.index));
    for (unsigned n = 0; n < count; ++n) put_page(*batch[n]);
  }
  if (copies == Copies::kGoToo && attachment_count() != 0) PageRemoval(*this, copies).run(first, last);
}

void FileObject::resize(ByteCount size) {
  std::uint64_t before;
  {
    SpinGuard guard(lock_, LockRank::kObject, lock_key());
    before = size_.load();
    size_.store(size.raw());
  }
  if (size.raw() >= before) return;
  if (const std::uint64_t rest = size.raw() % kPageSize; rest != 0) {
    if (Frame* const page = page_or_null(PageIndex(size.raw() >> kPageShift)); page != nullptr) {
      __builtin_memset(memory_.contents(*page) + rest, 0, kPageSize - rest);
      put_page(*page);
    }
  }
  remove(PageIndex((size.raw() + kPageSize - 1) >> kPageShift), PageIndex(~std::uint64_t{0} >> kPageShift), Which::kAll,
         Copies::kGoToo);
}

void FileObject::punch(PageIndex first, PageIndex last) { remove(first, last, Which::kAll, Copies::kStay); }

// No mapping, no attachment, no walk: nobody comes any more, so nothing is locked (the last to go may hold a table's lock).
FileObject::~FileObject() {
  PageIndex at(0);
  std::uint64_t charges = 0;
  for (Frame* page = tree_.next(at); page != nullptr; page = tree_.next(at)) {
    if (page->has_flag(Frame::kOwned)) ++charges;
    take_out_locked(at, *page);
    put_page(*page);
  }
  tree_.clear();
  if (config_.account != nullptr && charges != 0) config_.account->uncharge(PageCount(charges));
}

void FileObject::destroy() { memory_.file_objects().destroy(this); }

}  // namespace quire
