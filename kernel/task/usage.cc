#include "task/usage.h"

#include "task/calls.h"
#include "task/time_arguments.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kNsPerTick = 10'000'000;  // USER_HZ is 100
constexpr std::uint64_t kKibPerPage = kPageSize / 1024;

}  // namespace

uapi::rusage to_rusage(const ResourceTally& used) {
  uapi::rusage usage{};
  usage.ru_utime = to_timeval(used.user_ns);
  usage.ru_stime = to_timeval(used.kernel_ns);
  usage.ru_maxrss = static_cast<__kernel_long_t>(used.peak_rss_pages * kKibPerPage);
  usage.ru_minflt = static_cast<__kernel_long_t>(used.minor_faults);
  usage.ru_majflt = static_cast<__kernel_long_t>(used.major_faults);
  usage.ru_nvcsw = static_cast<__kernel_long_t>(used.voluntary_switches);
  usage.ru_nivcsw = static_cast<__kernel_long_t>(used.involuntary_switches);
  return usage;
}

ResourceTally tally_of(const Thread& thread) {
  return {.user_ns = thread.user_ns.load(std::memory_order_relaxed),
          .kernel_ns = thread.kernel_ns.load(std::memory_order_relaxed),
          .minor_faults = thread.minor_faults.load(std::memory_order_relaxed),
          .major_faults = thread.major_faults.load(std::memory_order_relaxed),
          .voluntary_switches = thread.voluntary_switches.load(std::memory_order_relaxed),
          .involuntary_switches = thread.involuntary_switches.load(std::memory_order_relaxed)};
}

ResourceTally tally_of_locked(Process& process) {
  ResourceTally total = process.ended;
  for (const Task& task : process.tasks) total.add(tally_of(task));
  return total;
}

std::uint64_t cpu_time(const Thread& thread) {
  return thread.user_ns.load(std::memory_order_relaxed) +
         thread.kernel_ns.load(std::memory_order_relaxed);
}

std::uint64_t cpu_time_locked(Process& process) {
  std::uint64_t total = process.ended.user_ns + process.ended.kernel_ns;
  for (const Task& task : process.tasks) total += cpu_time(task);
  return total;
}

ResourceTally usage_of_current() {
  Process& process = current_process();
  const Usage memory = current().space->usage();
  const TaskGuard guard(task_lock);
  ResourceTally total = tally_of_locked(process);
  total.peak_rss_pages = std::max(total.peak_rss_pages, memory.rss_peak.raw());
  return total;
}

SyscallResult sys_getrusage(const SyscallArgs& args) {
  ResourceTally used;
  switch (int_argument(args, 0)) {
    case RUSAGE_SELF:
      used = usage_of_current();
      break;
    case RUSAGE_CHILDREN: {
      const TaskGuard guard(task_lock);
      used = current_process().children_ended;
      break;
    }
    case RUSAGE_THREAD: {
      used = tally_of(current());
      used.peak_rss_pages = current().space->usage().rss_peak.raw();
      break;
    }
    default:
      return fail(Errno::kInval);
  }
  QUIRE_CHECK(put_user(address_argument(args, 1), to_rusage(used)));
  return 0;
}

SyscallResult sys_times(const SyscallArgs& args) {
  const UserAddr to = address_argument(args, 0);
  if (to != 0) {
    ResourceTally own, children;
    {
      const TaskGuard guard(task_lock);
      own = tally_of_locked(current_process());
      children = current_process().children_ended;
    }
    uapi::tms times{};
    times.tms_utime = static_cast<__kernel_clock_t>(own.user_ns / kNsPerTick);
    times.tms_stime = static_cast<__kernel_clock_t>(own.kernel_ns / kNsPerTick);
    times.tms_cutime = static_cast<__kernel_clock_t>(children.user_ns / kNsPerTick);
    times.tms_cstime = static_cast<__kernel_clock_t>(children.kernel_ns / kNsPerTick);
    QUIRE_CHECK(put_user(to, times));
  }
  return static_cast<std::int64_t>(monotonic_ns() / kNsPerTick);
}

}  // namespace quire::kernel
