// Sleeping until something is so. One mechanism for all of the kernel.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "sync/lock.h"

namespace quire::kernel {

enum class Interruptible : std::uint8_t { kNo, kYes };
enum class WaitResult : std::uint8_t { kDone, kInterrupted, kTimedOut };
/// Absolute monotonic nanoseconds; kForever never comes.
using Deadline = std::uint64_t;
inline constexpr Deadline kForever = ~std::uint64_t{0};

class Listener;
class Thread;
class WaitQueue;

/// A listener's place on one queue. Links change under the queue's lock.
struct Waiter {
  WaitQueue* queue = nullptr;
  Listener* listener = nullptr;
  Waiter *next = nullptr, *previous = nullptr;
};

/// Those that wait for a condition. Whoever changes the condition calls wake_all() or wake_one() afterwards, with the POLL* events it is
/// about if only some who wait care (0: everybody does). May be woken from interrupt handlers.
class WaitQueue {
 public:
  /// All, but of the exclusive listeners only the one that has waited longest and takes it.
  void wake_all(std::uint32_t events = 0);
  /// Wakes the one that has waited longest among those that are not woken yet.
  void wake_one();
  [[nodiscard]] bool has_waiters() const { return first_ != nullptr; }

 private:
  friend class Listener;
  void insert(Waiter& waiter);
  void remove(Waiter& waiter);
  IrqSpinLock lock_;
  Waiter *first_ = nullptr, *last_ = nullptr;
};

/// Somebody on any number of queues. A subclass's destructor calls leave().
class Listener {
 public:
  static constexpr unsigned kInlineQueues = 4;
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void add(WaitQueue& queue);

 protected:
  enum class Exclusive : std::uint8_t { kNo, kYes };
  explicit Listener(Exclusive exclusive) : is_exclusive_(exclusive == Exclusive::kYes) {}
  ~Listener() = default;
  /// From a queue, with its lock held, perhaps in an interrupt. Returns whether this was news.
  virtual bool on_wake(std::uint32_t events) = 0;
  /// Takes it off all queues; afterwards on_wake() does not run. If it has been woken for nothing the next one on each queue is told.
  enum class PassOn : std::uint8_t { kNo, kYes };
  void leave(PassOn pass_on);

 private:
  friend class WaitQueue;
  const bool is_exclusive_ = false;
  unsigned count_ = 0;  ///< of `inline_` in use
  std::array<Waiter, kInlineQueues> inline_;
  std::vector<std::unique_ptr<Waiter>> more_;
};

/// One sleep of the current thread, on any number of queues (poll). Usage: add() to the queues; then loop { test the condition; sleep(); }.
/// The destructor leaves all queues. A wake-up between add() and sleep() makes sleep() return at once; one that comes when the sleeper no
/// longer sleeps is passed on, so wake_one() loses none.
class Sleeper final : public Listener {
 public:
  Sleeper();
  ~Sleeper();
  /// Returns kDone when woken (the caller tests its condition again), kInterrupted when a signal is pending, kTimedOut at the deadline.
  WaitResult sleep(Interruptible interruptible, Deadline deadline = kForever);

 private:
  bool on_wake(std::uint32_t events) override;

  Thread& thread_;
  std::atomic<bool> woken_{false};
};

/// Sleeps on `queue` until condition() holds.
template <typename Condition>
WaitResult wait_until(WaitQueue& queue, Condition condition, Interruptible interruptible, Deadline deadline = kForever) {
  if (condition()) return WaitResult::kDone;
  Sleeper sleeper;
  sleeper.add(queue);
  for (;;) {
    if (condition()) return WaitResult::kDone;
    const WaitResult r = sleeper.sleep(interruptible, deadline);
    if (r != WaitResult::kDone) return condition() ? WaitResult::kDone : r;
  }
}

}  // namespace quire::kernel
