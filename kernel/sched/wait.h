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

class Sleeper;
class Thread;
class WaitQueue;

/// A sleeper's place on one queue. Links change under the queue's lock.
struct Waiter {
  WaitQueue* queue = nullptr;
  Sleeper* sleeper = nullptr;
  Waiter *next = nullptr, *previous = nullptr;
};

/// Threads that wait for a condition. Whoever changes the condition calls wake_all() or wake_one() afterwards. May be woken from
/// interrupt handlers.
class WaitQueue {
 public:
  void wake_all();
  /// Wakes the one that has waited longest among those that are not woken yet.
  void wake_one();
  [[nodiscard]] bool has_waiters() const { return first_ != nullptr; }

 private:
  friend class Sleeper;
  void insert(Waiter& waiter);
  void remove(Waiter& waiter);
  IrqSpinLock lock_;
  Waiter *first_ = nullptr, *last_ = nullptr;
};

/// One sleep, on any number of queues (poll). Usage: add() to the queues; then loop { test the condition; sleep(); }. The destructor
/// leaves all queues. A wake-up between add() and sleep() makes sleep() return at once; one that comes when the sleeper no longer
/// sleeps is passed on, so wake_one() loses none.
class Sleeper {
 public:
  static constexpr unsigned kInlineQueues = 4;
  Sleeper();
  ~Sleeper();
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  void add(WaitQueue& queue);
  /// Returns kDone when woken (the caller tests its condition again), kInterrupted when a signal is pending, kTimedOut at the deadline.
  WaitResult sleep(Interruptible interruptible, Deadline deadline = kForever);

 private:
  friend class WaitQueue;
  /// From a queue. False if it was woken already.
  bool wake();

  Thread& thread_;
  std::atomic<bool> woken_{false};
  unsigned count_ = 0;                        ///< of `inline_` in use
  std::array<Waiter, kInlineQueues> inline_;
  std::vector<std::unique_ptr<Waiter>> more_;
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
