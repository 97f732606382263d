// A hash map from 64-bit keys that forgets everything in O(1): the store behind the simulated TLB
// and paging-structure caches.
//
// Life cycle: grows as it fills and never shrinks. Forgetting all raises an epoch; slots of older
// epochs count as free. If the host has no memory to grow, an insertion is dropped: a cache may
// always forget. Not synchronised; its owner's lock covers it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace quire {

template <typename Value>
class EpochMap {
 public:
  /// The value under `key`, or null. Valid until the next insertion.
  [[nodiscard]] Value* find(std::uint64_t key) {
    if (slots_ == nullptr) return nullptr;
    Slot& slot = probe(slots_.get(), mask_, key);
    return slot.epoch == epoch_ && slot.live ? &slot.value : nullptr;
  }

  /// Puts `value` under `key`, over what was there.
  void insert(std::uint64_t key, const Value& value) {
    if (slots_ == nullptr || (used_ + 1) * 4 > (mask_ + 1) * 3) {
      if (!grow()) return;
    }
    Slot& slot = probe(slots_.get(), mask_, key);
    if (slot.epoch != epoch_) ++used_;
    slot = Slot{.key = key, .epoch = epoch_, .live = true, .value = value};
  }

  /// Forgets `key`; true if it was known.
  bool erase(std::uint64_t key) {
    if (slots_ == nullptr) return false;
    Slot& slot = probe(slots_.get(), mask_, key);
    const bool known = slot.epoch == epoch_ && slot.live;
    slot.live = false;
    return known;
  }

  /// Forgets each key for which `predicate(key)` holds; returns how many.
  template <typename Predicate>
  std::size_t erase_if(Predicate predicate) {
    std::size_t erased = 0;
    for (std::size_t i = 0; slots_ != nullptr && i <= mask_; ++i) {
      Slot& slot = slots_[i];
      if (slot.epoch != epoch_ || !slot.live || !predicate(slot.key)) continue;
      slot.live = false;
      ++erased;
    }
    return erased;
  }

  void clear() {
    ++epoch_;
    used_ = 0;
  }

  /// Slots a scan looks at.
  [[nodiscard]] std::size_t capacity() const { return slots_ == nullptr ? 0 : mask_ + 1; }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint64_t epoch = 0;
    bool live = false;
    Value value{};
  };
  static constexpr std::size_t kFirstCapacity = 64;

  /// The slot that holds `key`, or the free one where it would go. A dead slot of this epoch stays
  /// part of its chain.
  Slot& probe(Slot* slots, std::size_t mask, std::uint64_t key) const {
    std::size_t i = (key * 0x9E3779B97F4A7C15ULL >> 32) & mask;
    while (slots[i].epoch == epoch_ && slots[i].key != key) i = (i + 1) & mask;
    return slots[i];
  }

  bool grow() {
    const std::size_t capacity = slots_ == nullptr ? kFirstCapacity : (mask_ + 1) * 2;
    std::unique_ptr<Slot[]> wider(new (std::nothrow) Slot[capacity]);
    if (wider == nullptr) return false;
    std::size_t used = 0;
    for (std::size_t i = 0; slots_ != nullptr && i <= mask_; ++i) {
      if (slots_[i].epoch != epoch_ || !slots_[i].live) continue;
      probe(wider.get(), capacity - 1, slots_[i].key) = slots_[i];
      ++used;
    }
    slots_ = std::move(wider);
    mask_ = capacity - 1;
    used_ = used;
    return true;
  }

  std::unique_ptr<Slot[]> slots_;
  std::size_t mask_ = 0;
  std::size_t used_ = 0;  ///< slots of this epoch, dead ones included
  std::uint64_t epoch_ = 1;
};

}  // namespace quire
