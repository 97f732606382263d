#include "sched/wait.h"

#include <optional>

#include "sched/scheduler.h"
#include "time/clock.h"

namespace quire::kernel {

void WaitQueue::insert(Waiter& waiter) {
  const Guard guard(lock_);
  waiter.queue = this;
  waiter.previous = last_;
  (last_ != nullptr ? last_->next : first_) = &waiter;
  last_ = &waiter;
}

void WaitQueue::remove(Waiter& waiter) {
  const Guard guard(lock_);
  (waiter.previous != nullptr ? waiter.previous->next : first_) = waiter.next;
  (waiter.next != nullptr ? waiter.next->previous : last_) = waiter.previous;
}

void WaitQueue::wake_all() {
  // Whoever sleeps has joined before testing its condition, and the condition changed before this.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (first_ == nullptr) return;
  const Guard guard(lock_);
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next) waiter->sleeper->wake();
}

void WaitQueue::wake_one() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (first_ == nullptr) return;
  const Guard guard(lock_);
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next) {
    if (waiter->sleeper->wake()) return;
  }
}

Sleeper::Sleeper() : thread_(current_thread()) {}

Sleeper::~Sleeper() {
  const auto leave = [this](Waiter& waiter) {
    waiter.queue->remove(waiter);
    if (woken_.load()) waiter.queue->wake_one();
  };
  for (unsigned i = 0; i < count_; ++i) leave(inline_[i]);
  for (const auto& waiter : more_) leave(*waiter);
}

void Sleeper::add(WaitQueue& queue) {
  Waiter& waiter = count_ < kInlineQueues ? inline_[count_++] : *more_.emplace_back(std::make_unique<Waiter>());
  waiter.sleeper = this;
  queue.insert(waiter);
}

bool Sleeper::wake() {
  if (woken_.exchange(true)) return false;
  wake_thread(thread_);
  return true;
}

WaitResult Sleeper::sleep(Interruptible interruptible, Deadline deadline) {
  // The timer is set only when there is something to wait for.
  const auto on_time = [](void* thread) { wake_thread(*static_cast<Thread*>(thread)); };
  std::optional<Timer> timer;
  for (;;) {
    announce_sleep();
    std::optional<WaitResult> result;
    if (woken_.exchange(false)) {
      result = WaitResult::kDone;
    } else if (interruptible == Interruptible::kYes && thread_.has_interruption()) {
      result = WaitResult::kInterrupted;
    } else if (deadline != kForever && monotonic_ns() >= deadline) {
      result = WaitResult::kTimedOut;
    }
    if (result) {
      cancel_sleep();
      return *result;
    }
    if (deadline != kForever && !timer) {
      timer.emplace(+on_time, &thread_);
      timer->arm(deadline);
    }
    sleep_now();
  }
}

}  // namespace quire::kernel
