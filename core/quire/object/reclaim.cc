// Giving back pages of files that are mapped, when memory is short (Linux v6.12 mm/vmscan.c:shrink_folio_list(), mm/rmap.c:try_to_unmap()).
//
// A hand goes round the object's pages. One that was used since it last came by loses its mark and stays; another leaves the object as if
// it had been cut off: no fault maps it any more (R12), its entries go from all tables, shared and lent ones in place, one flush a batch,
// and then the frame. Whoever wants it next reads it again. A page that somebody holds beside its entries is left alone, as is one that
// must be stored first.

#include <array>

#include "quire/memory_manager.h"
#include "quire/object/file_object.h"
#include "quire/rmap/rmap.h"

namespace quire {

/// Consecutive pages that may go.
class FileObject::Reclaim {
 public:
  explicit Reclaim(FileObject& object) : object_(object), memory_(object.memory_) {}

  /// Holds the next pages at or after `hand` that could be read again, and moves it behind them. False: there are none up to the end.
  bool look(PageIndex& hand) {
    SpinGuard guard(object_.lock_, LockRank::kObject, object_.lock_key());
    count_ = 0;
    for (unsigned looked = 0; looked < kBatch; ++looked, hand = hand + PageCount(1)) {
      Frame* const page = object_.tree_.next(hand);
      if (page == nullptr) return count_ != 0;
      if (is_copy(*page) && page->try_get()) pages_[count_++] = page;
    }
    return true;
  }

  /// Gives back those that nobody has used. Returns how many.
  std::uint64_t run() {
    std::array<bool, kBatch> is_young;
    for (unsigned n = 0; n < count_; ++n) is_young[n] = test_and_clear_young(memory_, *pages_[n]) != 0;
    std::array<bool, kBatch> is_taken{};
    std::uint64_t taken = 0;
    {
      SpinGuard guard(object_.lock_, LockRank::kObject, object_.lock_key());
      for (unsigned n = 0; n < count_; ++n) {
        is_taken[n] = !is_young[n] && can_go(*pages_[n]);
        if (!is_taken[n]) continue;
        object_.take_out_locked(PageIndex(pages_[n]->page.index), *pages_[n]);
        ++taken;
      }
    }
    if (taken != 0) object_.unmap_removed(PageIndex(pages_[0]->page.index), PageIndex(pages_[count_ - 1]->page.index));
    for (unsigned n = 0; n < count_; ++n) {
      if (is_taken[n]) object_.put_page(*pages_[n]);  // the object's reference
      object_.put_page(*pages_[n]);
    }
    return taken;
  }

 private:
  static constexpr unsigned kBatch = 64;

  static bool is_copy(const Frame& page) {
    return !must_stay(page) && !page.has_flag(Frame::kFilling) && !page.has_flag(Frame::kPoisoned);
  }
  // Nobody has it but its entries, the object and us. Who is about to map it holds it, or finds it gone. Locks: the object's.
  [[nodiscard]] bool can_go(const Frame& page) const {
    const std::uint64_t counts = page.counts.load();
    return !page.has_flag(Frame::kRemoved) && is_copy(page) && Frame::pins_in(counts) == 0 &&
           Frame::references_in(counts) == Frame::leaf_entries_in(counts) + object_.own_references() + 1;
  }

  FileObject& object_;
  MemoryManager& memory_;
  unsigned count_ = 0;
  std::array<Frame*, kBatch> pages_;
};

// Three turns of the hand at most, the first of which begins where the last call ended: so each page is met twice.
PageCount FileObject::reclaim(PageCount wanted) {
  std::uint64_t taken = 0;
  reclaiming_.fetch_add(1);
  if (config_.source != nullptr && keeps_mapped_.load() == 0) {
    Reclaim batch(*this);
    PageIndex hand(hand_.load());
    for (unsigned turns = 0; turns < 3 && taken < wanted.raw();) {
      if (batch.look(hand)) {
        taken += batch.run();
      } else {
        hand = PageIndex(0);
        ++turns;
      }
    }
    hand_.store(hand.raw());
  }
  reclaiming_.fetch_sub(1);
  platform::wake(reclaiming_);
  return PageCount(taken);
}

// Who reclaims looks at the mark after it can be seen here.
void FileObject::keep_mapped() {
  keeps_mapped_.store(1);
  for (std::uint32_t seen = reclaiming_.load(); seen != 0; seen = reclaiming_.load()) platform::wait(reclaiming_, seen);
}

}  // namespace quire
