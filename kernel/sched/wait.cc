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

void WaitQueue::wake_all(std::uint32_t events) {
  // Whoever sleeps has joined before testing its condition, and the condition changed before this.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (first_ == nullptr) return;
  const Guard guard(lock_);
  bool given_to_one = false;
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next) {
    Listener& listener = *waiter->listener;
    if (listener.is_exclusive_ && given_to_one) continue;
    if (listener.on_wake(events) && listener.is_exclusive_) given_to_one = true;
  }
}

void WaitQueue::wake_one() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (first_ == nullptr) return;
  const Guard guard(lock_);
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next) {
    if (waiter->listener->on_wake(0)) return;
  }
}

void Listener::add(WaitQueue& queue) {
  Waiter& waiter = count_ < kInlineQueues ? inline_[count_++] : *more_.emplace_back(std::make_unique<Waiter>());
  waiter.listener = this;
  queue.insert(waiter);
}

void Listener::leave(PassOn pass_on) {
  const auto leave_one = [pass_on](Waiter& waiter) {
    waiter.queue->remove(waiter);
    if (pass_on == PassOn::kYes) waiter.queue->wake_one();
  };
  for (unsigned i = 0; i < count_; ++i) leave_one(inline_[i]);
  for (const auto& waiter : more_) leave_one(*waiter);
  count_ = 0;
  more_.clear();
}

Sleeper::Sleeper() : thread_(current_thread()) {}

Sleeper::~Sleeper() { leave(woken_.load() ? PassOn::kYes : PassOn::kNo); }

bool Sleeper::on_wake(std::uint32_t) {
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
