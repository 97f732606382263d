// Secondary MMUs: devices and emulators that keep translations of an address space, and are told before those stop being true
// (Linux v6.12 include/linux/mmu_notifier.h).
//
// An operation that changes entries brackets the change: begin() before the first one, invalidate() after the processors' flush and before
// anything old is released, any number of times, end() last. Inside a bracket a secondary MMU takes over no translation; one that it looked
// up (AddressSpace::hold()) counts only if no bracket was open and none has ended since it began to look. What it has it may use until it
// is told to forget it. Changes made through the reverse map concern all spaces that reach a table, none of whom is known: they name the
// frame, and all secondary MMUs of the machine are told.
//
// Life cycle: registered for a space with MmuNotifiers::add(); until remove(), or until the space ends and released() was called.
// Locks: callbacks come with the space's lock held, or with none (frames), never under a table lock; they may wait, but not for the space's
// lock.
#pragma once

#include <atomic>
#include <cstdint>

#include "quire/base/atomic.h"
#include "quire/base/errno.h"
#include "quire/base/types.h"

namespace quire {

class AddressSpace;

/// A secondary MMU of one address space.
class MmuNotifier {
 public:
  virtual void begin() = 0;
  /// Forget what is cached for `range`; when this returns, nothing uses it any more.
  virtual void invalidate(VirtRange range) = 0;
  /// Forget what is cached of `count` frames from `first`, at any address.
  virtual void invalidate_frames(Pfn first, PageCount count) = 0;
  virtual void end() = 0;
  /// The space is gone: forget everything. No callback comes any more.
  virtual void released() = 0;

 protected:
  ~MmuNotifier() = default;
};

/// All secondary MMUs of a machine.
class MmuNotifiers {
 public:
  /// The slots of the notifiers whose bracket an operation has open; they are not removed meanwhile.
  using Open = std::uint32_t;

  /// Tells `notifier` of `space` from now on. Errors: EAGAIN: too many.
  Result<void> add(const AddressSpace& space, MmuNotifier& notifier);
  /// No callback comes after this. Must not be called from one.
  void remove(MmuNotifier& notifier);

  /// Whether there are any: nobody else pays for them.
  [[nodiscard]] bool any() const { return count_.load_relaxed() != 0; }
  /// Opens a bracket for one space, or with null for all.
  [[nodiscard]] Open begin(const AddressSpace* space);
  /// Tells those of `space`. One that came after the bracket was opened gets a bracket of its own around this: what it looked up before the
  /// change it forgets now, and later it finds what is new.
  void invalidate(const AddressSpace& space, VirtRange range, Open open);
  void invalidate_frames(Pfn first, PageCount count, Open open);
  void end(Open open);
  /// `space` ends.
  void release(const AddressSpace& space);

 private:
  static constexpr unsigned kSlots = 32;
  struct Slot {
    Atomic<MmuNotifier*> notifier{nullptr};
    Atomic<const AddressSpace*> space{nullptr};  ///< null: the slot is free
    std::atomic<std::uint32_t> users{0};         ///< brackets open
  };
  /// Keeps a slot's notifier from being removed; false: there is none, or of another space (`space` not null).
  bool enter(Slot& slot, const AddressSpace* space);
  void leave(Slot& slot);
  void vacate(Slot& slot, MmuNotifier* notifier);

  Slot slots_[kSlots];
  Atomic<std::uint32_t> count_{0};
};

/// A bracket around changes that concern all spaces, for the page they are about.
class FrameBracket {
 public:
  FrameBracket(MmuNotifiers& notifiers, Pfn first, PageCount count = PageCount(1))
      : notifiers_(notifiers), first_(first), count_(count), open_(notifiers.any() ? notifiers.begin(nullptr) : 0) {}
  ~FrameBracket() {
    if (open_ != 0) notifiers_.end(open_);
  }
  FrameBracket(const FrameBracket&) = delete;
  FrameBracket& operator=(const FrameBracket&) = delete;
  /// After the flush.
  void invalidate() {
    if (open_ != 0 || notifiers_.any()) notifiers_.invalidate_frames(first_, count_, open_);
  }

 private:
  MmuNotifiers& notifiers_;
  Pfn first_;
  PageCount count_;
  MmuNotifiers::Open open_;
};

}  // namespace quire
