// A simulated secondary MMU: a device with translations of its own for an address space, which it keeps
// until it is told to forget them.
//
// It must never serve what the space no longer grants. So each of its accesses happens through a
// translation it has, with its lock held, and check() compares all it has with the space's tables.
// Outside a bracket nothing may have changed without its being told (S0.56).
//
// Life cycle: attach() to a space; gone before its machine. Threads: translate() and accesses by
// one, callbacks from any.
#pragma once

#include <cstring>
#include <map>
#include <string>

#include "quire/quire.h"
#include "quire/space/hold.h"
#include "quire/tlb/notifier.h"
#include "support/picture.h"

namespace quire::test {

class Iommu final : public MmuNotifier {
 public:
  Iommu() = default;
  Iommu(const Iommu&) = delete;
  Iommu& operator=(const Iommu&) = delete;
  ~Iommu() {
    if (space_ != nullptr) space_->remove_notifier(*this);
  }
  Result<void> attach(AddressSpace& space) {
    QUIRE_CHECK(space.add_notifier(*this));
    space_ = &space;
    return {};
  }
  void detach() {
    space_->remove_notifier(*this);
    space_ = nullptr;
    cached_.clear();
  }

  /// A device's access to the 64-bit word at `address`. False: the space does not grant it.
  bool read(VirtAddr address, std::uint64_t& value) {
    return access(address, Access::kRead,
                  [&](std::byte* word) { std::memcpy(&value, word, sizeof value); });
  }
  bool write(VirtAddr address, std::uint64_t value) {
    return access(address, Access::kWrite,
                  [&](std::byte* word) { std::memcpy(word, &value, sizeof value); });
  }

  /// What it would serve and should not, or nothing. The space stands still.
  [[nodiscard]] std::string check() {
    const Guard guard(*this);
    if (open_ != 0) return "a bracket was left open";
    for (const auto& [page, entry] : cached_) {
      const Path path = path_to(*space_, VirtAddr(page));
      const bool readable = path.zero_table || path.zero_leaf || (path.has_leaf && path.leaf_present);
      if (!readable) return "a page that is not mapped: " + std::to_string(page);
      if (entry.zero != (path.zero_table || path.zero_leaf)) return "zero: " + std::to_string(page);
      if (!entry.zero && path.leaf != entry.frame) return "an old frame: " + std::to_string(page);
      if (entry.writable && !(path.path_writable && path.leaf_writable)) {
        return "a right to write: " + std::to_string(page);
      }
    }
    return "";
  }
  [[nodiscard]] std::size_t cached() const { return cached_.size(); }
  [[nodiscard]] bool was_released() const { return space_ == nullptr; }
  [[nodiscard]] std::uint64_t brackets() const { return ended_; }

  void begin() override {
    const Guard guard(*this);
    ++open_;
  }
  void invalidate(VirtRange range) override {
    const Guard guard(*this);
    if (open_ == 0) ++unbracketed_;
    cached_.erase(cached_.lower_bound(range.begin().raw()), cached_.lower_bound(range.end().raw()));
  }
  void invalidate_frames(Pfn first, PageCount count) override {
    const Guard guard(*this);
    if (open_ == 0) ++unbracketed_;
    std::erase_if(cached_, [first, count](const auto& each) {
      return first <= each.second.frame && each.second.frame < first + count;
    });
  }
  void end() override {
    const Guard guard(*this);
    --open_;
    ++ended_;
  }
  void released() override {
    const Guard guard(*this);
    cached_.clear();
    space_ = nullptr;
  }
  [[nodiscard]] unsigned unbracketed() const { return unbracketed_; }

 private:
  struct Translation {
    Pfn frame;
    bool writable = false, zero = false;
  };
  /// Works with real threads and with the explorer's.
  class Guard {
   public:
    explicit Guard(Iommu& iommu) : iommu_(iommu) {
      iommu_.lock_.lock(LockRank::kPool, 0);  // nothing is taken inside
    }
    ~Guard() { iommu_.lock_.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Iommu& iommu_;
  };

  template <typename Use>
  bool access(VirtAddr address, Access access, Use use) {
    const VirtAddr page = address.page_floor();
    for (;;) {
      std::uint64_t ended = 0;
      bool open = false;
      {
        const Guard guard(*this);
        const auto found = cached_.find(page.raw());
        if (found != cached_.end() && (access != Access::kWrite || found->second.writable)) {
          std::byte* const word = space_->memory().window(found->second.frame) + (address - page).raw();
          hooks::yield_point(access == Access::kWrite ? "store_frame" : "load_frame", word);
          use(word);
          return true;
        }
        ended = ended_;
        open = open_ != 0;
      }
      if (open) {
        platform::relax();
        continue;
      }
      const auto held = space_->hold(page, access, HoldKind::kGet);
      if (!held) return false;
      const Guard guard(*this);
      if (open_ != 0 || ended_ != ended) continue;  // it may be old already
      cached_[page.raw()] = {.frame = held->pfn(), .writable = access == Access::kWrite, .zero = held->is_zero()};
    }
  }

  AddressSpace* space_ = nullptr;
  SpinLock lock_;
  unsigned open_ = 0, unbracketed_ = 0;
  std::uint64_t ended_ = 0;
  std::map<std::uint64_t, Translation> cached_;
};

}  // namespace quire::test
