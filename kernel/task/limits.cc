// Resource limits. Behaviour: man7 getrlimit(2); Linux v6.12 kernel/sys.c:do_prlimit(),
// include/asm-generic/resource.h.
#include "mm/memory.h"
#include "quire/memory_manager.h"
#include "task/calls.h"
#include "task/signals.h"
#include "task/task_limits.h"

namespace quire::kernel {

namespace {

using Limit = SharedLimits::Limit;
static_assert(sizeof(Limit) == sizeof(uapi::rlimit64) && SharedLimits::kCount == RLIM_NLIMITS);

constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
/// fs.nr_open: what nobody may exceed.
constexpr std::uint64_t kMostFiles = 1048576;
/// Frames a task needs at least: kernel stack, its objects, its tables. Twice that, so that tasks
/// alone never use up the memory.
constexpr std::uint64_t kFramesPerTask = 32;

std::uint64_t most_tasks() {
  const std::uint64_t frames = memory().config().frames.raw();
  return std::max<std::uint64_t>(frames / kFramesPerTask, 64);
}

bool binds_memory(unsigned resource) {
  return resource == RLIMIT_AS || resource == RLIMIT_DATA || resource == RLIMIT_STACK ||
         resource == RLIMIT_MEMLOCK;
}

/// Errors: ESRCH, EPERM. Locks: task_lock held.
Result<Process*> find_limited_locked(Pid pid) {
  Process& self = current_process();
  if (pid == 0 || pid == self.pid) return &self;
  Process* const process = tree().find_process(pid);
  if (process == nullptr) return fail(Errno::kSrch);
  const Credentials& own = current_credentials();
  const Credentials& theirs = credentials_of_locked(*process);
  const bool same_user = own.uid == theirs.euid && own.uid == theirs.suid &&
                         own.uid == theirs.uid && own.gid == theirs.egid &&
                         own.gid == theirs.sgid && own.gid == theirs.gid;
  if (!same_user && !own.can(CAP_SYS_RESOURCE)) return fail(Errno::kPerm);
  return process;
}

/// Errors: EINVAL, EPERM.
Result<void> check_change(unsigned resource, const Limit& wanted, const Limit& old) {
  if (wanted.soft > wanted.hard) return fail(Errno::kInval);
  if (resource == RLIMIT_NOFILE && wanted.hard > kMostFiles) return fail(Errno::kPerm);
  if (wanted.hard > old.hard && !current_credentials().can(CAP_SYS_RESOURCE)) return fail(Errno::kPerm);
  return {};
}

/// Reads the old limit and sets a new one, if given. Errors: EINVAL, ESRCH, EPERM.
Result<Limit> exchange_limit(Pid pid, unsigned resource, const Limit* wanted) {
  if (resource >= SharedLimits::kCount) return fail(Errno::kInval);
  const RefPtr<SharedLimits> fresh = wanted != nullptr ? make_ref<SharedLimits>() : nullptr;
  RefPtr<SharedLimits> left;
  AddressSpace* space = nullptr;
  RefPtr<SharedCredentials> who;
  Limit old{};
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(Process* const process, find_limited_locked(pid));
    old = process->limits->limit[resource];
    if (wanted == nullptr) return old;
    QUIRE_CHECK(check_change(resource, *wanted, old));
    std::copy(std::begin(process->limits->limit), std::end(process->limits->limit), fresh->limit);
    fresh->limit[resource] = *wanted;
    left = std::move(process->limits);
    process->limits = fresh;
    if (resource == RLIMIT_NOFILE) {
      for (Task& task : process->tasks) {
        if (task.files) task.files->limit = wanted->soft;
      }
    }
    if (binds_memory(resource)) space = process->space;
    if (space != nullptr) {
      space->acquire();
      who = process->first_task().credentials;
    }
  }
  if (space != nullptr) {
    space->set_limits(memory_limits(*fresh, who->value));
    space->release();
  }
  return old;
}

}  // namespace

RefPtr<SharedLimits> initial_limits() {
  RefPtr<SharedLimits> limits = make_ref<SharedLimits>();
  for (Limit& limit : limits->limit) limit = {kUnlimited, kUnlimited};
  const std::uint64_t tasks = most_tasks() / 2;
  limits->limit[RLIMIT_STACK].soft = std::uint64_t{8} << 20;
  limits->limit[RLIMIT_CORE].soft = 0;
  limits->limit[RLIMIT_NPROC] = {tasks, tasks};
  limits->limit[RLIMIT_NOFILE] = {1024, 4096};
  limits->limit[RLIMIT_MEMLOCK] = {std::uint64_t{8} << 20, std::uint64_t{8} << 20};
  limits->limit[RLIMIT_SIGPENDING] = {tasks, tasks};
  limits->limit[RLIMIT_MSGQUEUE] = {819200, 819200};
  limits->limit[RLIMIT_NICE] = {0, 0};
  limits->limit[RLIMIT_RTPRIO] = {0, 0};
  return limits;
}

Limits memory_limits(const SharedLimits& limits, const Credentials& who) {
  Limits result;
  if (!who.can(CAP_IPC_LOCK)) result.locked = ByteCount(limits.limit[RLIMIT_MEMLOCK].soft);
  result.address_space = ByteCount(limits.limit[RLIMIT_AS].soft);
  result.data = ByteCount(limits.limit[RLIMIT_DATA].soft);
  result.stack = ByteCount(limits.limit[RLIMIT_STACK].soft);
  return result;
}

Result<void> check_task_limit_locked(const Process& parent) {
  const std::uint64_t tasks = tree().task_count();
  if (tasks >= most_tasks()) return fail(Errno::kAgain);
  // One user at a time is what this machine is for, so all tasks count as the caller's.
  if (tasks >= parent.limits->limit[RLIMIT_NPROC].soft && !current_credentials().can(CAP_SYS_RESOURCE))
    return fail(Errno::kAgain);
  return {};
}

std::uint64_t current_rlimit(unsigned resource) {
  const TaskGuard guard(task_lock);
  return current_process().limits->limit[resource].soft;
}

SyscallResult sys_getrlimit(const SyscallArgs& args) {
  QUIRE_TRY(const Limit old, exchange_limit(0, uint_argument(args, 0), nullptr));
  QUIRE_CHECK(put_user(address_argument(args, 1), old));
  return 0;
}

SyscallResult sys_setrlimit(const SyscallArgs& args) {
  QUIRE_TRY(const auto wanted, get_user<Limit>(address_argument(args, 1)));
  QUIRE_CHECK(exchange_limit(0, uint_argument(args, 0), &wanted));
  return 0;
}

SyscallResult sys_prlimit64(const SyscallArgs& args) {
  const UserAddr wanted_at = address_argument(args, 2);
  const UserAddr old_at = address_argument(args, 3);
  Limit wanted{};
  if (wanted_at != 0) QUIRE_CHECK(copy_from_user(&wanted, wanted_at, sizeof wanted));
  QUIRE_TRY(const Limit old, exchange_limit(int_argument(args, 0), uint_argument(args, 1),
                                            wanted_at != 0 ? &wanted : nullptr));
  if (old_at != 0) QUIRE_CHECK(put_user(old_at, old));
  return 0;
}

}  // namespace quire::kernel
