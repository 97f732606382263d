// Storing what was written: owned pages become copies of their source again (docs/decisions/0015-writable-mounts.md).
//
//   the pages' mark goes → every entry loses W → flush all → store → on failure the mark comes back
//
// A fault looks at the mark under its table's lock before it lets an entry be written, and we come to that table after the mark is gone: a
// store after the flush finds no W and owns the page again. So what is stored is no older than the last store that needed no fault, and
// whatever comes later is stored later: nothing is lost, whenever it is written (S0.21, I14).

#include <array>

#include "quire/memory_manager.h"
#include "quire/object/file_object.h"
#include "quire/rmap/rmap.h"

namespace quire {

/// Consecutive pages on their way to the source.
class FileObject::WriteBack {
 public:
  explicit WriteBack(FileObject& object) : object_(object), memory_(object.memory_) {}

  /// Takes the first pages at or after `from` that must be stored. False: there are none up to `last`.
  bool take(PageIndex from, PageIndex last) {
    for (;;) {
      const std::uint32_t moves = memory_.moves_of_pages();
      switch (try_take(from, last)) {
        case Taken::kSome: return true;
        case Taken::kNone: return false;
        case Taken::kMoving: memory_.wait_for_moves(moves);
      }
    }
  }

  Result<void> store() {
    protect();
    const Result<void> stored = object_.config_.source->write(first_, std::span<Frame* const>(pages_.data(), count_));
    settle(stored.has_value());
    return stored;
  }

  [[nodiscard]] PageIndex end() const { return first_ + PageCount(count_); }

 private:
  static constexpr unsigned kMost = 64;
  enum class Taken : std::uint8_t { kSome, kNone, kMoving };

  // What memory that failed held is nowhere any more.
  static bool is_wanted(const Frame& page) { return must_stay(page) && !page.has_flag(Frame::kPoisoned); }

  Taken try_take(PageIndex from, PageIndex last) {
    SpinGuard guard(object_.lock_, LockRank::kObject, object_.lock_key());
    Frame* page = object_.tree_.next(from);
    while (page != nullptr && from <= last && !is_wanted(*page)) page = object_.tree_.next(from = from + PageCount(1));
    if (page == nullptr || last < from) return Taken::kNone;
    first_ = from;
    for (count_ = 0; count_ < kMost && end() <= last; ++count_) {
      page = object_.tree_.find(end());
      if (page == nullptr || !is_wanted(*page)) break;
      if (!page->try_get()) return count_ == 0 ? Taken::kMoving : Taken::kSome;
      charged_[count_] = page->has_flag(Frame::kOwned);
      if (charged_[count_]) object_.owned_.fetch_sub(1);
      page->change_flags(0, Frame::kOwned | Frame::kDirty);
      pages_[count_] = page;
    }
    return Taken::kSome;
  }

  // Once a table, whoever shares it (S1.6), and one flush for all.
  void protect() {
    const MmuNotifiers::Open open = memory_.notifiers().any() ? memory_.notifiers().begin(nullptr) : 0;
    bool any = false;
    for (unsigned n = 0; n < count_; ++n) {
      for_each_entry(memory_, object_, *pages_[n], [&any](const TableView& table, Slot slot, Entry, EntryKind) {
        if (clear_in_place(table, slot, Entry::write_mask() | Entry::dirty_mask())) any = true;
      });
    }
    if (any) memory_.flush_all(FlushRequest::Depth::kLeavesOnly);
    for (unsigned n = 0; any && open != 0 && n < count_; ++n) {
      memory_.notifiers().invalidate_frames(memory_.pfn_of(*pages_[n]), PageCount(1), open);
    }
    if (open != 0) memory_.notifiers().end(open);
  }

  void settle(bool stored) {
    std::uint64_t charges = 0;
    for (unsigned n = 0; n < count_; ++n) {
      Frame& page = *pages_[n];
      {
        SpinGuard guard(object_.lock_, LockRank::kObject, object_.lock_key());
        if (stored || page.has_flag(Frame::kOwned) || page.has_flag(Frame::kRemoved)) {
          if (charged_[n]) ++charges;  // one who owns it again meanwhile has paid again
        } else {
          page.change_flags(charged_[n] ? Frame::kOwned : Frame::kDirty, 0);
          if (charged_[n]) object_.owned_.fetch_add(1);
        }
      }
      object_.put_page(page);
    }
    if (charges != 0 && object_.config_.account != nullptr) object_.config_.account->uncharge(PageCount(charges));
  }

  FileObject& object_;
  MemoryManager& memory_;
  PageIndex first_;
  unsigned count_ = 0;
  std::array<Frame*, kMost> pages_;
  std::array<bool, kMost> charged_;
};

Result<void> FileObject::write_back(PageIndex first, PageIndex last) {
  Result<void> result{};
  WriteBack batch(*this);
  while (first <= last && batch.take(first, last)) {
    const Result<void> stored = batch.store();
    if (!stored && result) result = fail(stored.error());
    first = batch.end();
  }
  return result;
}

}  // namespace quire
