// Clocks and sleeping. Behaviour: man7 clock_gettime(2), clock_nanosleep(2); Linux v6.12
// kernel/time/posix-timers.c, posix-cpu-timers.c.
#include "sched/wait.h"
#include "task/calls.h"
#include "task/time_arguments.h"
#include "task/uapi.h"
#include "task/usage.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

// Clock ids of processes and threads: the complement of the number above three bits (Linux v6.12
// include/linux/posix-timers_types.h).
constexpr int kPerThread = 4, kClockKind = 3, kScheduled = 2;

/// The CPU-time clock of another process or thread. Errors: EINVAL.
Result<std::uint64_t> cpu_clock(int clock) {
  const Pid id = ~(clock >> 3);
  if ((clock & kClockKind) > kScheduled) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  if ((clock & kPerThread) != 0) {
    const Task* const task = id == 0 ? &current() : tree().find_task(id);
    if (task == nullptr || task->process != current().process) return fail(Errno::kInval);
    return cpu_time(*task);
  }
  Process* const process = id == 0 ? &current_process() : tree().find_process(id);
  if (process == nullptr) return fail(Errno::kInval);
  return cpu_time_locked(*process);
}

/// Errors: EINVAL.
Result<std::uint64_t> read_clock(int clock) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return realtime_ns();
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return monotonic_ns();
    case CLOCK_PROCESS_CPUTIME_ID: {
      const TaskGuard guard(task_lock);
      return cpu_time_locked(current_process());
    }
    case CLOCK_THREAD_CPUTIME_ID:
      return cpu_time(current());
    default:
      if (clock < 0) return cpu_clock(clock);
      return fail(Errno::kInval);
  }
}

/// Errors: EPERM.
Result<void> set_wall_clock(std::uint64_t now) {
  if (!current_credentials().can(CAP_SYS_TIME)) return fail(Errno::kPerm);
  set_realtime_ns(now);
  return {};
}

/// Sleeps until the deadline. False: a signal came first.
bool sleep_until(Deadline deadline) {
  Sleeper sleeper;
  for (;;) {
    switch (sleeper.sleep(Interruptible::kYes, deadline)) {
      case WaitResult::kTimedOut:
        return true;
      case WaitResult::kInterrupted:
        return monotonic_ns() >= deadline;
      case WaitResult::kDone:
        break;
    }
  }
}

SyscallResult sleep_relative(Deadline deadline, UserAddr remaining);

SyscallResult sleep_again(RestartBlock& block) {
  return sleep_relative(block.argument[0], block.argument[1]);
}

SyscallResult sleep_relative(Deadline deadline, UserAddr remaining) {
  if (sleep_until(deadline)) return 0;
  if (remaining != 0) {
    const std::uint64_t now = monotonic_ns();
    QUIRE_CHECK(put_user(remaining, to_timespec(deadline > now ? deadline - now : 0)));
  }
  current_restart() = {sleep_again, {deadline, remaining}};
  return fail(kRestartBlock);
}

}  // namespace

SyscallResult sys_clock_gettime(const SyscallArgs& args) {
  QUIRE_TRY(const std::uint64_t now, read_clock(int_argument(args, 0)));
  QUIRE_CHECK(put_user(address_argument(args, 1), to_timespec(now)));
  return 0;
}

SyscallResult sys_clock_getres(const SyscallArgs& args) {
  QUIRE_CHECK(read_clock(int_argument(args, 0)));
  const UserAddr to = address_argument(args, 1);
  if (to != 0) QUIRE_CHECK(put_user(to, to_timespec(1)));
  return 0;
}

SyscallResult sys_clock_settime(const SyscallArgs& args) {
  QUIRE_TRY(const std::uint64_t now, get_duration(address_argument(args, 1)));
  if (int_argument(args, 0) != CLOCK_REALTIME) return fail(Errno::kInval);
  QUIRE_CHECK(set_wall_clock(now));
  return 0;
}

SyscallResult sys_gettimeofday(const SyscallArgs& args) {
  const UserAddr time_at = address_argument(args, 0);
  const UserAddr zone_at = address_argument(args, 1);
  if (time_at != 0) QUIRE_CHECK(put_user(time_at, to_timeval(realtime_ns())));
  if (zone_at != 0) QUIRE_CHECK(put_user(zone_at, uapi::timezone{}));
  return 0;
}

SyscallResult sys_settimeofday(const SyscallArgs& args) {
  const UserAddr time_at = address_argument(args, 0);
  if (time_at == 0) return 0;  // only a time zone, which nothing here depends on
  QUIRE_TRY(const auto time, get_user<__kernel_old_timeval>(time_at));
  QUIRE_TRY(const std::uint64_t now, to_nanoseconds(time));
  QUIRE_CHECK(set_wall_clock(now));
  return 0;
}

SyscallResult sys_time(const SyscallArgs& args) {
  const auto seconds = static_cast<std::int64_t>(realtime_ns() / kNsPerSecond);
  const UserAddr to = address_argument(args, 0);
  if (to != 0) QUIRE_CHECK(put_user(to, seconds));
  return seconds;
}

SyscallResult sys_nanosleep(const SyscallArgs& args) {
  QUIRE_TRY(const std::uint64_t duration, get_duration(address_argument(args, 0)));
  return sleep_relative(deadline_after(duration), address_argument(args, 1));
}

SyscallResult sys_clock_nanosleep(const SyscallArgs& args) {
  const int clock = int_argument(args, 0);
  const bool is_wall_clock = clock == CLOCK_REALTIME || clock == CLOCK_TAI;
  if (!is_wall_clock && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME) {
    // Sleeping on CPU time is not there; what is no clock at all is a plain error.
    QUIRE_CHECK(read_clock(clock));
    return fail(Errno::kOpNotSupp);
  }
  QUIRE_TRY(const std::uint64_t time, get_duration(address_argument(args, 2)));
  if ((int_argument(args, 1) & TIMER_ABSTIME) == 0)
    return sleep_relative(deadline_after(time), address_argument(args, 3));
  if (sleep_until(is_wall_clock ? monotonic_deadline(time) : time)) return 0;
  return fail(kRestartNoHand);
}

}  // namespace quire::kernel
