// What a thread leaves behind in user memory: locks it held and the word its joiner waits for.
// Behaviour: man7 get_robust_list(2), set_tid_address(2); Linux v6.12
// kernel/futex/core.c:exit_robust_list(), handle_futex_death(); kernel/fork.c:mm_release().
#include "task/calls.h"
#include "task/exit.h"
#include "task/futex.h"
#include "task/uapi.h"

namespace quire::kernel {

namespace {

struct RobustHead {
  UserAddr next;
  std::int64_t offset;
  UserAddr pending;
};
static_assert(sizeof(RobustHead) == sizeof(uapi::robust_list_head));

/// A list that a program made circular, or endless, must end somewhere.
constexpr unsigned kLongestList = ROBUST_LIST_LIMIT;
constexpr UserAddr kPriorityInheritance = 1;

enum class Acquired : std::uint8_t { kYes, kPerhaps };

/// Marks the lock at `address` as its dead owner's, and wakes one who waits for it. Errors: EFAULT
/// (the list is abandoned).
Result<void> mark_dead(UserAddr address, Pid owner, Acquired acquired) {
  if (address % sizeof(std::uint32_t) != 0) return fail(Errno::kFault);
  QUIRE_TRY(std::uint32_t word, user_load32(address));
  for (;;) {
    // Between taking itself off the word and waking others an unlocker may have died.
    if (word == 0 && acquired == Acquired::kPerhaps) {
      futex_wake_word(address);
      return {};
    }
    if ((word & FUTEX_TID_MASK) != static_cast<std::uint32_t>(owner)) return {};
    QUIRE_TRY(const std::uint32_t seen,
              user_cmpxchg32(address, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
    if (seen == word) break;
    word = seen;
  }
  if ((word & FUTEX_WAITERS) != 0) futex_wake_word(address);
  return {};
}

Result<void> release_robust_list(UserAddr head_address, Pid owner) {
  QUIRE_TRY(const auto head, get_user<RobustHead>(head_address));
  const auto lock_of = [&](UserAddr entry) {
    return (entry & ~kPriorityInheritance) + static_cast<std::uint64_t>(head.offset);
  };
  const UserAddr pending = head.pending & ~kPriorityInheritance;
  UserAddr entry = head.next;
  for (unsigned n = 0; n < kLongestList && (entry & ~kPriorityInheritance) != head_address; ++n) {
    // The next link is read first: the lock may be freed once it is marked.
    const Result<UserAddr> next = get_user<UserAddr>(entry & ~kPriorityInheritance);
    if ((entry & ~kPriorityInheritance) != pending)
      QUIRE_CHECK(mark_dead(lock_of(entry), owner, Acquired::kYes));
    if (!next) return fail(next.error());
    entry = *next;
  }
  if (pending != 0) return mark_dead(lock_of(pending), owner, Acquired::kPerhaps);
  return {};
}

}  // namespace

void release_user_locks(Task& task) {
  if (task.robust_list != 0) {
    // A broken list is the program's affair.
    static_cast<void>(release_robust_list(task.robust_list, task.tid));
    const TaskGuard guard(task_lock);
    task.robust_list = 0;
  }
  const UserAddr joiner = std::exchange(task.clear_child_tid, 0);
  if (joiner == 0 || !task.shares_space) return;
  if (put_user(joiner, Pid{0})) futex_wake_word(joiner);
}

SyscallResult sys_set_robust_list(const SyscallArgs& args) {
  if (args.a[1] != sizeof(RobustHead)) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  current().robust_list = address_argument(args, 0);
  return 0;
}

SyscallResult sys_get_robust_list(const SyscallArgs& args) {
  const Pid tid = int_argument(args, 0);
  UserAddr list = 0;
  {
    const TaskGuard guard(task_lock);
    const Task* const task = tid == 0 ? &current() : tree().find_task(tid);
    if (task == nullptr) return fail(Errno::kSrch);
    if (task->credentials != current().credentials &&
        task->credentials->value.uid != current_credentials().euid &&
        !current_credentials().can(CAP_SYS_PTRACE)) {
      return fail(Errno::kPerm);
    }
    list = task->robust_list;
  }
  QUIRE_CHECK(put_user(address_argument(args, 2), std::uint64_t{sizeof(RobustHead)}));
  QUIRE_CHECK(put_user(address_argument(args, 1), list));
  return 0;
}

SyscallResult sys_set_tid_address(const SyscallArgs& args) {
  Task& task = current();
  task.clear_child_tid = address_argument(args, 0);
  return task.tid;
}

}  // namespace quire::kernel
