#include "time/timer_queue.h"

#include <algorithm>
#include <boost/intrusive/set.hpp>

#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/registers.h"
#include "quire/platform.h"
#include "sched/scheduler.h"
#include "sync/lock.h"
#include "time/clock.h"
#include "time/tsc.h"

namespace quire::kernel {

class TimerQueue {
 public:
  void insert(Timer& timer, unsigned cpu);
  /// Takes a timer out if it is still there.
  void remove(Timer& timer, unsigned cpu);
  /// Runs what is due, then sets the hardware for the next.
  void run();
  void arm_tick(std::uint64_t deadline);
  void prepare_exact_halt(HaltFor reason);

 private:
  struct Earlier {
    bool operator()(const Timer& a, const Timer& b) const { return a.deadline_ < b.deadline_; }
  };
  using Hook = boost::intrusive::member_hook<Timer, boost::intrusive::set_member_hook<>, &Timer::hook_>;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  [[nodiscard]] std::uint64_t next_event() const {
    return std::min(tick_, timers_.empty() ? kNever : timers_.begin()->deadline_);
  }
  /// Sets the hardware unless it comes early enough already. Pre: this CPU's queue, lock held.
  void program();

  IrqSpinLock lock_;
  boost::intrusive::multiset<Timer, Hook, boost::intrusive::compare<Earlier>> timers_;
  std::uint64_t tick_ = kNever;
  std::uint64_t programmed_ = kNever;
  std::atomic<Timer*> running_{nullptr};  ///< whose callback runs now
};

namespace {

PerCpu<TimerQueue> queues;

}  // namespace

void TimerQueue::program() {
  const std::uint64_t next = next_event();
  if (next >= programmed_) return;
  programmed_ = next;
  const std::uint64_t now = monotonic_ns();
  arm_local_timer(next > now ? next - now : 0, clock_page.tsc_at_boot + ns_to_tsc(next));
}

void TimerQueue::insert(Timer& timer, unsigned cpu) {
  const Guard guard(lock_);
  timer.cpu_.store(cpu);
  timers_.insert(timer);
  program();
}

void TimerQueue::remove(Timer& timer, unsigned cpu) {
  {
    const Guard guard(lock_);
    if (timer.hook_.is_linked()) {
      timers_.erase(timers_.iterator_to(timer));
      timer.cpu_.store(Timer::kIdle);
      return;
    }
  }
  // Its callback runs, or has run. On this CPU it can only be the callback that called.
  if (cpu == this_cpu_data().index) return;
  while (running_.load() == &timer) platform::relax();
}

void TimerQueue::arm_tick(std::uint64_t deadline) {
  const Guard guard(lock_);
  tick_ = std::min(tick_, deadline);
  program();
}

void TimerQueue::prepare_exact_halt(HaltFor reason) {
  const Guard guard(lock_);
  tick_ = kNever;
  programmed_ = kNever;
  disarm_local_timer();
  if (reason == HaltFor::kEvents) program();
}

void TimerQueue::run() {
  const std::uint64_t now = monotonic_ns();
  bool tick = false;
  lock_.lock();
  programmed_ = kNever;
  if (tick_ <= now) {
    tick_ = kNever;
    tick = true;
  }
  while (!timers_.empty() && timers_.begin()->deadline_ <= now) {
    Timer& timer = *timers_.begin();
    timers_.erase(timers_.begin());
    running_.store(&timer);
    const auto callback = timer.callback_;
    void* const argument = timer.argument_;
    lock_.unlock();
    callback(argument);
    lock_.lock();
    if (!timer.hook_.is_linked()) timer.cpu_.store(Timer::kIdle);
    running_.store(nullptr);
  }
  program();
  lock_.unlock();
  if (tick) on_tick();
}

void Timer::arm(std::uint64_t deadline_ns) {
  cancel();
  deadline_ = deadline_ns;
  const InterruptsOff off;
  queues.local().insert(*this, this_cpu_data().index);
}

void Timer::cancel() {
  const unsigned cpu = cpu_.load();
  if (cpu != kIdle) queues.of(cpu).remove(*this, cpu);
}

void on_timer_interrupt() { queues.local().run(); }

void arm_tick(std::uint64_t ns) {
  const InterruptsOff off;
  queues.local().arm_tick(monotonic_ns() + ns);
}

void prepare_exact_halt(HaltFor reason) { queues.local().prepare_exact_halt(reason); }

}  // namespace quire::kernel
