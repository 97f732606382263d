// What programs ask of the scheduler. It is round robin without priorities, so most answers say so; CPUs that a task is tied to are heeded.
// Behaviour: man7 sched(7), sched_setaffinity(2), getpriority(2).
#include <algorithm>

#include "sched/thread.h"
#include "task/calls.h"
#include "task/signals.h"
#include "task/time_arguments.h"

namespace quire::kernel {

namespace {

constexpr std::int32_t kLowestNice = -20, kHighestNice = 19;
constexpr int kHighestRealtime = 99;
/// The scheduler's slice.
constexpr std::uint64_t kSliceNs = 4'000'000;

std::uint64_t online_mask() { return (std::uint64_t{1} << cpu_count()) - 1; }

/// Calls visit(task) for a task or, with 0, the current one. Locks: task_lock is held meanwhile. Errors: ESRCH, EINVAL, visit's.
template <typename Visit>
Result<void> with_task(Pid tid, Visit visit) {
  if (tid < 0) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  Task* const task = tid == 0 ? &current() : tree().find_task(tid);
  if (task == nullptr) return fail(Errno::kSrch);
  return visit(*task);
}

/// Errors: ESRCH, EINVAL.
Result<void> check_task(Pid tid) {
  return with_task(tid, [](Task&) { return Result<void>(); });
}

/// Whether the current task may change how `task` is scheduled.
bool may_reschedule(const Task& task) {
  const Credentials& own = current_credentials();
  const Credentials& theirs = task.credentials->value;
  return own.can(CAP_SYS_NICE) || own.euid == theirs.uid || own.euid == theirs.euid;
}

bool is_fair(int policy) {
  return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE;
}
bool is_realtime(int policy) { return policy == SCHED_FIFO || policy == SCHED_RR; }

/// Errors: EINVAL; EPERM for real-time policies, which do not exist here.
Result<void> check_policy(int policy, int priority) {
  if (is_fair(policy)) {
    if (priority != 0) return fail(Errno::kInval);
    return {};
  }
  if (!is_realtime(policy) || priority < 1 || priority > kHighestRealtime)
    return fail(Errno::kInval);
  return fail(Errno::kPerm);
}

/// Calls visit(task) for the tasks that getpriority's arguments name, until it fails. Errors:
/// EINVAL, ESRCH, visit's.
template <typename Visit>
Result<void> for_each_named(int which, int who, Visit visit) {
  if (which != PRIO_PROCESS && which != PRIO_PGRP && which != PRIO_USER) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  if (which == PRIO_PROCESS) {
    Task* const task = who == 0 ? &current() : tree().find_task(who);
    if (task == nullptr) return fail(Errno::kSrch);
    return visit(*task);
  }
  const Pid group = who == 0 ? current_process().group->id : who;
  const std::uint32_t user = who == 0 ? current_credentials().uid : static_cast<std::uint32_t>(who);
  Result<void> result = fail(Errno::kSrch);
  tree().for_each_process([&](Process& process) {
    const bool named = which == PRIO_PGRP ? process.group->id == group
                                          : credentials_of_locked(process).uid == user;
    if (!named || process.kernel_made) return;
    for (Task& task : process.tasks) result = visit(task);
  });
  return result;
}

Result<void> renice(Task& task, std::int32_t nice) {
  if (!may_reschedule(task)) return fail(Errno::kPerm);
  if (nice < task.nice && !current_credentials().can(CAP_SYS_NICE)) return fail(Errno::kAcces);
  task.nice = nice;
  return {};
}

}  // namespace

SyscallResult sys_sched_yield(const SyscallArgs&) {
  yield_cpu();
  return 0;
}

SyscallResult sys_sched_getaffinity(const SyscallArgs& args) {
  const std::uint32_t size = uint_argument(args, 1);
  if (size < sizeof(std::uint64_t) || size % sizeof(std::uint64_t) != 0) return fail(Errno::kInval);
  std::uint64_t mask = 0;
  QUIRE_CHECK(with_task(int_argument(args, 0), [&](const Task& task) -> Result<void> {
    mask = task.allowed_cpus.load() & online_mask();
    return {};
  }));
  QUIRE_CHECK(put_user(address_argument(args, 2), mask));
  return sizeof(std::uint64_t);
}

/// Linux v6.12 kernel/sched/syscalls.c:sched_setaffinity(): CPUs that are not there are dropped from the mask.
SyscallResult sys_sched_setaffinity(const SyscallArgs& args) {
  const std::uint64_t size = std::min<std::uint64_t>(uint_argument(args, 1), sizeof(std::uint64_t));
  std::uint64_t mask = 0;
  QUIRE_CHECK(copy_from_user(&mask, address_argument(args, 2), size));
  bool is_self = false;
  QUIRE_CHECK(with_task(int_argument(args, 0), [&](Task& task) -> Result<void> {
    if (!may_reschedule(task)) return fail(Errno::kPerm);
    if ((mask & online_mask()) == 0) return fail(Errno::kInval);
    is_self = &task == &current();
    if (!is_self) restrict_thread(task, mask & online_mask());
    return {};
  }));
  if (is_self) restrict_thread(current(), mask & online_mask());  // it may move, so without the lock
  return 0;
}

SyscallResult sys_sched_getscheduler(const SyscallArgs& args) {
  int policy = SCHED_NORMAL;
  QUIRE_CHECK(with_task(int_argument(args, 0), [&](const Task& task) -> Result<void> {
    policy = task.policy | (task.resets_policy_on_fork ? SCHED_RESET_ON_FORK : 0);
    return {};
  }));
  return policy;
}

SyscallResult sys_sched_setscheduler(const SyscallArgs& args) {
  QUIRE_TRY(const int priority, get_user<int>(address_argument(args, 2)));
  const int wanted = int_argument(args, 1);
  if (wanted < 0) return fail(Errno::kInval);
  const int policy = wanted & ~SCHED_RESET_ON_FORK;
  const bool resets = (wanted & SCHED_RESET_ON_FORK) != 0;
  const auto change = [&](Task& task) -> Result<void> {
    QUIRE_CHECK(check_policy(policy, priority));
    if (!current_credentials().can(CAP_SYS_NICE) && task.resets_policy_on_fork && !resets) return fail(Errno::kPerm);
    if (!may_reschedule(task)) return fail(Errno::kPerm);
    task.policy = policy;
    task.resets_policy_on_fork = resets;
    return {};
  };
  QUIRE_CHECK(with_task(int_argument(args, 0), change));
  return 0;
}

SyscallResult sys_sched_getparam(const SyscallArgs& args) {
  QUIRE_CHECK(check_task(int_argument(args, 0)));
  QUIRE_CHECK(put_user(address_argument(args, 1), int{0}));
  return 0;
}

SyscallResult sys_sched_setparam(const SyscallArgs& args) {
  QUIRE_TRY(const int priority, get_user<int>(address_argument(args, 1)));
  QUIRE_CHECK(check_task(int_argument(args, 0)));
  QUIRE_CHECK(check_policy(SCHED_NORMAL, priority));
  return 0;
}

SyscallResult sys_sched_get_priority_max(const SyscallArgs& args) {
  const int policy = int_argument(args, 0);
  if (is_realtime(policy)) return kHighestRealtime;
  if (is_fair(policy) || policy == SCHED_DEADLINE) return 0;
  return fail(Errno::kInval);
}

SyscallResult sys_sched_get_priority_min(const SyscallArgs& args) {
  const int policy = int_argument(args, 0);
  if (is_realtime(policy)) return 1;
  if (is_fair(policy) || policy == SCHED_DEADLINE) return 0;
  return fail(Errno::kInval);
}

SyscallResult sys_sched_rr_get_interval(const SyscallArgs& args) {
  QUIRE_CHECK(check_task(int_argument(args, 0)));
  QUIRE_CHECK(put_user(address_argument(args, 1), to_timespec(kSliceNs)));
  return 0;
}

SyscallResult sys_getpriority(const SyscallArgs& args) {
  std::int32_t best = kHighestNice;
  QUIRE_CHECK(for_each_named(int_argument(args, 0), int_argument(args, 1),
                             [&](const Task& task) -> Result<void> {
                               best = std::min(best, task.nice);
                               return {};
                             }));
  return kHighestNice + 1 - best;  // the raw call's way around negative results
}

SyscallResult sys_setpriority(const SyscallArgs& args) {
  const std::int32_t nice = std::clamp(int_argument(args, 2), kLowestNice, kHighestNice);
  QUIRE_CHECK(for_each_named(int_argument(args, 0), int_argument(args, 1),
                             [&](Task& task) { return renice(task, nice); }));
  return 0;
}

SyscallResult sys_getcpu(const SyscallArgs& args) {
  const UserAddr cpu_at = address_argument(args, 0);
  const UserAddr node_at = address_argument(args, 1);
  if (cpu_at != 0) QUIRE_CHECK(put_user(cpu_at, std::uint32_t{this_cpu()}));
  if (node_at != 0) QUIRE_CHECK(put_user(node_at, std::uint32_t{0}));
  return 0;
}

}  // namespace quire::kernel
