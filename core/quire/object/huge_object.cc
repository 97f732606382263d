#include "quire/object/huge_object.h"

#include <algorithm>

#include "quire/base/assert.h"
#include "quire/memory_manager.h"

namespace quire {

namespace {

// Not a Result, and not inlined: g++ 12 believes those here uninitialized.
[[gnu::noinline]] bool has_frames(FrameReservation& frames, std::uint64_t count) {
  return frames.ensure(count, FrameUse::kUser).has_value();
}

constexpr unsigned kBatch = 16;

}  // namespace

Result<HugeObject*> HugeObject::create(MemoryManager& memory, const Config& config) {
  if (!memory.huge().has(config.level)) return fail(Errno::kInval);
  HugeObject* object = memory.huge_objects().make_or_null(memory, config);
  if (object == nullptr) return fail(Errno::kNoMem);
  return object;
}

HugePool& HugeObject::pool() const { return memory_.huge().of(leaf_level()); }

PageCount HugeObject::unit() const { return memory_.huge().of(leaf_level()).page_size(); }

Frame* HugeObject::promise() const { return &memory_.frame(memory_.zero().frame()); }

// The page, or null where there is none or a promise only.
Frame* HugeObject::find_locked(PageIndex own) {
  Frame* const found = tree_.find(own);
  return found == promise() ? nullptr : found;
}

/// Keeps all indexes of an object as they are: nobody brings a page into being.
class HugeObject::Still {
 public:
  explicit Still(HugeObject& object) TA_ATTRIBUTE(no_thread_safety_analysis) : object_(object) {
    for (RwLock& lock : object_.filling_) lock.lock();
  }
  ~Still() TA_ATTRIBUTE(no_thread_safety_analysis) {
    for (RwLock& lock : object_.filling_) lock.unlock();
  }
  Still(const Still&) = delete;
  Still& operator=(const Still&) = delete;

 private:
  HugeObject& object_;
};

Result<void> HugeObject::reserve(PageIndex first, PageCount count) {
  const PageIndex begin = own_index(first);
  const std::uint64_t pages = own_index(first + count + PageCount(unit().raw() - 1)).raw() - begin.raw();
  FrameReservation nodes(memory_.pool());
  // Neighbours share nodes: two at the edges of each level, and those in between.
  if (!has_frames(nodes, 2 * PageTree::kMostNodes + pages / 256)) return fail(Errno::kNoMem);
  const Still still(*this);
  std::uint64_t absent = 0;
  {
    SpinGuard guard(lock_, LockRank::kObject, lock_key());
    for (std::uint64_t n = 0; n < pages; ++n) absent += tree_.find(begin + PageCount(n)) == nullptr ? 1 : 0;
  }
  QUIRE_CHECK(pool().reserve(absent));
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  for (std::uint64_t n = 0; n < pages; ++n) {
    Frame** const place = tree_.place(begin + PageCount(n), nodes);
    QUIRE_ASSERT(place != nullptr, "I12: too few nodes for consecutive pages");
    if (*place == nullptr) *place = promise();
  }
  return {};
}

Frame* HugeObject::page_or_null(PageIndex index) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  Frame* const page = find_locked(own_index(index));
  return page != nullptr && page->try_get() ? page : nullptr;
}

// Locks: none, or those of a fault.
Result<ObjectPage> HugeObject::get_page(PageIndex index, Access) {
  if (is_beyond_end(index)) return fail(Errno::kFault);
  if (Frame* const page = page_or_null(index); page != nullptr) return ObjectPage{page, false};
  ExclusiveGuard filling_guard(filling(index));
  const PageIndex own = own_index(index);
  FrameReservation nodes(memory_.pool());
  if (!has_frames(nodes, PageTree::kMostNodes)) return fail(Errno::kNoMem);
  HugePool::From from = HugePool::From::kFree;
  {
    SpinGuard guard(lock_, LockRank::kObject, lock_key());
    if (Frame* const page = find_locked(own); page != nullptr && page->try_get()) return ObjectPage{page, false};
    if (tree_.find(own) != nullptr) from = HugePool::From::kReserve;
  }
  Frame* const fresh = pool().take_or_null(from);
  if (fresh == nullptr) return fail(Errno::kNoSpc);
  memory_.clear_huge(*fresh);
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  Frame** const place = tree_.place(own, nodes);
  QUIRE_ASSERT(place != nullptr, "I12: too few nodes for one page");
  fresh->page = Frame::Page{this, own.raw(), nullptr, 0};
  fresh->flags = Frame::kLarge | Frame::kOwned;
  fresh->kind = FrameKind::kObject;
  fresh->counts.store(2 * Frame::kOneReference);  // the object's own and the caller's; last of all, for those who come by the frame
  *place = fresh;
  present_.fetch_add(1);
  return ObjectPage{fresh, false};
}

bool HugeObject::has_page(PageIndex index) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  return find_locked(own_index(index)) != nullptr;
}

bool HugeObject::owns(const Frame& page) {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  return find_locked(PageIndex(page.page.index)) == &page;
}

// Pages and promises of the object's own indexes `first` … `last`.
void HugeObject::remove(PageIndex first, PageIndex last) {
  PageIndex at = first;
  for (bool more = true; more;) {
    std::array<Frame*, kBatch> batch;
    unsigned count = 0;
    std::uint64_t promises = 0;
    const PageIndex from = at;
    {
      const Still still(*this);
      SpinGuard guard(lock_, LockRank::kObject, lock_key());
      for (; count < kBatch; at = at + PageCount(1)) {
        Frame* const page = tree_.next(at);
        more = page != nullptr && at <= last;
        if (!more) break;
        tree_.at(at) = nullptr;
        if (page == promise()) {
          ++promises;
          continue;
        }
        page->change_flags(Frame::kRemoved, 0);
        batch[count++] = page;
      }
      present_.fetch_sub(count);
    }
    pool().unreserve(promises);
    if (count == 0) continue;
    PageRemoval(*this, PageRemoval::Copies::kStay).run(from, PageIndex(batch[count - 1]->page.index));
    for (unsigned n = 0; n < count; ++n) {
      if (batch[n]->put()) memory_.pool().give(batch[n]);
    }
  }
}

// Small pages `first` … end − 1 of one page become zeros.
void HugeObject::clear_part(PageIndex first, PageIndex end) {
  Frame* const page = first < end ? page_or_null(first) : nullptr;
  if (page == nullptr) return;
  const std::uint64_t begin = own_index(first).raw() * unit().raw();
  for (std::uint64_t n = first.raw(); n < end.raw(); ++n) memory_.clear_data(page[n - begin]);
  if (page->put()) memory_.pool().give(page);
}

void HugeObject::punch(PageIndex first, PageIndex last) {
  const PageIndex end(std::min(last.raw(), size_.load() >> kPageShift) + 1);
  const std::uint64_t size = unit().raw();
  const PageIndex whole((first.raw() + size - 1) / size * size), rest(end.raw() / size * size);
  if (rest < whole || whole == rest) {
    // Within one page, or on both sides of one boundary.
    clear_part(first, std::min(end, whole));
    clear_part(std::max(first, whole), end);
    return;
  }
  clear_part(first, whole);
  remove(own_index(whole), PageIndex(own_index(rest).raw() - 1));
  clear_part(rest, end);
}

void HugeObject::resize(ByteCount size) {
  {
    SpinGuard guard(lock_, LockRank::kObject, lock_key());
    const std::uint64_t before = size_.load();
    size_.store(size.raw());
    if (size.raw() >= before) return;
  }
  remove(own_index(PageIndex(size.raw() >> kPageShift)), PageIndex(~std::uint64_t{0} >> kPageShift));
}

std::uint64_t HugeObject::promises_for_audit() {
  SpinGuard guard(lock_, LockRank::kObject, lock_key());
  std::uint64_t promises = 0;
  PageIndex at(0);
  for (const Frame* page = tree_.next(at); page != nullptr; page = tree_.next(at)) {
    promises += page == promise() ? 1 : 0;
    at = at + PageCount(1);
  }
  return promises;
}

// No mapping, no attachment, no walk: nobody comes any more, so nothing is locked (the last to go may hold a table's lock).
HugeObject::~HugeObject() {
  PageIndex at(0);
  std::uint64_t promises = 0;
  for (Frame* page = tree_.next(at); page != nullptr; page = tree_.next(at)) {
    tree_.at(at) = nullptr;
    if (page == promise()) {
      ++promises;
      continue;
    }
    page->change_flags(Frame::kRemoved, 0);
    if (page->put()) memory_.pool().give(page);
  }
  tree_.clear();
  pool().unreserve(promises);
}

void HugeObject::destroy() { memory_.huge_objects().destroy(this); }

}  // namespace quire
