#include "task/itimer.h"

#include "sched/thread.h"
#include "task/calls.h"
#include "task/signals.h"
#include "task/time_arguments.h"
#include "task/usage.h"

namespace quire::kernel {

namespace {

/// CPU time is accounted when a thread enters the kernel; looking more often than this finds
/// nothing new.
constexpr std::uint64_t kCpuTimeGrain = 4'000'000;

}  // namespace

IntervalTimers::IntervalTimers(Process& process)
    : process_(process),
      real_(*this, ITIMER_REAL, SIGALRM),
      virtual_(*this, ITIMER_VIRTUAL, SIGVTALRM),
      profile_(*this, ITIMER_PROF, SIGPROF) {}

IntervalTimers::One& IntervalTimers::one(int which) {
  if (which == ITIMER_REAL) return real_;
  return which == ITIMER_VIRTUAL ? virtual_ : profile_;
}

std::uint64_t IntervalTimers::now_locked(int which) const {
  if (which == ITIMER_REAL) return monotonic_ns();
  if (which == ITIMER_PROF) return cpu_time_locked(process_);
  return tally_of_locked(process_).user_ns;
}

std::uint64_t IntervalTimers::wake_up_time(int which, std::uint64_t remaining) {
  if (which == ITIMER_REAL) return deadline_after(remaining);
  return deadline_after(std::max(remaining / cpu_count(), kCpuTimeGrain));
}

IntervalTimers::Setting IntervalTimers::remaining_locked(const One& timer) const {
  if (timer.expiry == 0) return {0, timer.interval};
  const std::uint64_t now = now_locked(timer.which);
  // A timer that is due but has not fired yet must not look disarmed (Linux v6.12
  // kernel/time/itimer.c:itimer_get_remtime()).
  return {timer.expiry > now ? timer.expiry - now : 1000, timer.interval};
}

void IntervalTimers::One::fire(void* self) {
  One& timer = *static_cast<One*>(self);
  Process& process = timer.owner.process_;
  std::uint64_t next = 0;
  {
    const TaskGuard guard(task_lock);
    if (timer.expiry == 0 || process.tasks.empty()) return;
    const std::uint64_t now = timer.owner.now_locked(timer.which);
    if (now >= timer.expiry) {
      send_locked(process, SignalInfo::from_kernel(timer.signal));
      if (timer.interval == 0) {
        timer.expiry = 0;
        return;
      }
      timer.expiry += ((now - timer.expiry) / timer.interval + 1) * timer.interval;
    }
    next = wake_up_time(timer.which, timer.expiry - now);
  }
  timer.timer.arm(next);
}

IntervalTimers::Setting IntervalTimers::get(int which) {
  const TaskGuard guard(task_lock);
  return remaining_locked(one(which));
}

IntervalTimers::Setting IntervalTimers::set(int which, const Setting& wanted) {
  const Guard setting(setting_);
  One& timer = one(which);
  Setting before;
  {
    const TaskGuard guard(task_lock);
    before = remaining_locked(timer);
    timer.expiry = timer.interval = 0;
  }
  timer.timer.cancel();
  if (wanted.remaining == 0) return before;
  {
    const TaskGuard guard(task_lock);
    std::uint64_t expiry = 0;
    if (__builtin_add_overflow(now_locked(which), wanted.remaining, &expiry)) expiry = kForever;
    timer.expiry = expiry;
    timer.interval = wanted.interval;
  }
  timer.timer.arm(wake_up_time(which, wanted.remaining));
  return before;
}

namespace {

IntervalTimers* timers_of_current() {
  Process& process = current_process();
  const TaskGuard guard(task_lock);
  return process.timers.get();
}

IntervalTimers& make_timers_of_current() {
  if (IntervalTimers* const timers = timers_of_current(); timers != nullptr) return *timers;
  Process& process = current_process();
  auto fresh = std::make_unique<IntervalTimers>(process);
  const TaskGuard guard(task_lock);
  if (process.timers == nullptr) process.timers = std::move(fresh);
  return *process.timers;
}

bool is_timer(int which) {
  return which == ITIMER_REAL || which == ITIMER_VIRTUAL || which == ITIMER_PROF;
}

__kernel_old_itimerval to_itimerval(const IntervalTimers::Setting& setting) {
  return {.it_interval = to_timeval(setting.interval), .it_value = to_timeval(setting.remaining)};
}

}  // namespace

SyscallResult sys_getitimer(const SyscallArgs& args) {
  const int which = int_argument(args, 0);
  if (!is_timer(which)) return fail(Errno::kInval);
  IntervalTimers* const timers = timers_of_current();
  const IntervalTimers::Setting setting =
      timers == nullptr ? IntervalTimers::Setting{} : timers->get(which);
  QUIRE_CHECK(put_user(address_argument(args, 1), to_itimerval(setting)));
  return 0;
}

SyscallResult sys_setitimer(const SyscallArgs& args) {
  const int which = int_argument(args, 0);
  const UserAddr wanted_at = address_argument(args, 1);
  const UserAddr old_at = address_argument(args, 2);
  IntervalTimers::Setting wanted;
  if (wanted_at != 0) {
    QUIRE_TRY(const auto value, get_user<__kernel_old_itimerval>(wanted_at));
    QUIRE_TRY(wanted.remaining, to_nanoseconds(value.it_value));
    QUIRE_TRY(wanted.interval, to_nanoseconds(value.it_interval));
  }
  if (!is_timer(which)) return fail(Errno::kInval);
  const IntervalTimers::Setting before = make_timers_of_current().set(which, wanted);
  if (old_at != 0) QUIRE_CHECK(put_user(old_at, to_itimerval(before)));
  return 0;
}

SyscallResult sys_alarm(const SyscallArgs& args) {
  const std::uint64_t seconds = uint_argument(args, 0);
  if (seconds == 0 && timers_of_current() == nullptr) return 0;
  const std::uint64_t before =
      make_timers_of_current().set(ITIMER_REAL, {seconds * kNsPerSecond, 0}).remaining;
  // To the nearest second, but never 0 for one that is still to come (Linux v6.12
  // kernel/time/itimer.c:alarm_setitimer()).
  const std::uint64_t rounded = (before + kNsPerSecond / 2) / kNsPerSecond;
  return static_cast<std::int64_t>(before != 0 && rounded == 0 ? 1 : rounded);
}

}  // namespace quire::kernel
