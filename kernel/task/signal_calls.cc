// Signal masks, actions and waiting. Behaviour: man7 sigaction(2), sigprocmask(2), sigtimedwait(2),
// sigaltstack(2); Linux v6.12 kernel/signal.c.
#include "arch/trap_frame.h"
#include "sched/wait.h"
#include "task/calls.h"
#include "task/exit.h"
#include "task/signals.h"
#include "task/time_arguments.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kKnownFlags = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK |
                                      SA_RESTART | SA_NODEFER |
                                      static_cast<std::uint32_t>(SA_RESETHAND) | SA_RESTORER;
constexpr std::uint64_t kMinimumStack = MINSIGSTKSZ;

Result<void> check_set_size(std::uint64_t size) {
  if (size != sizeof(SignalSet)) return fail(Errno::kInval);
  return {};
}

void sleep_until_signal() {
  Sleeper sleeper;
  while (sleeper.sleep(Interruptible::kYes) != WaitResult::kInterrupted) {
  }
}

Result<void> replace_action(int signal, const SignalAction& wanted) {
  Process& process = current_process();
  SignalChain dropped;
  const TaskGuard guard(task_lock);
  SignalAction& action = process.actions->action[signal - 1];
  action = wanted;
  action.flags &= kKnownFlags;
  action.mask &= ~kUnblockable;
  if (!is_ignored_locked(process, signal)) return {};
  // POSIX: what waits is discarded, blocked or not.
  process.pending.discard(signal_bit(signal), dropped);
  for (Task& task : process.tasks) task.pending.discard(signal_bit(signal), dropped);
  return {};
}

/// Errors: EAGAIN (nothing came in time), EINTR.
Result<SignalInfo> wait_for_signal(SignalSet wanted, Deadline deadline) {
  Task& task = current();
  SignalInfo info;
  std::unique_ptr<QueuedSignal> node;
  {
    const TaskGuard guard(task_lock);
    if (take_signal_locked(task, wanted, info, node)) {
      update_attention_locked(task);
      return info;
    }
  }
  const SignalSet blocked = task.blocked;
  set_blocked(blocked & ~wanted);
  Sleeper sleeper;
  WaitResult ended = WaitResult::kDone;
  while (ended == WaitResult::kDone && !signal_pending())
    ended = sleeper.sleep(Interruptible::kYes, deadline);
  bool taken = false;
  {
    const TaskGuard guard(task_lock);
    taken = take_signal_locked(task, wanted, info, node);
  }
  set_blocked(blocked);
  if (taken) return info;
  return fail(ended == WaitResult::kTimedOut ? Errno::kAgain : Errno::kIntr);
}

}  // namespace

void set_temporary_signal_mask(SignalSet mask) {
  Task& task = current();
  task.saved_blocked = task.blocked;
  task.restore_blocked = true;
  set_blocked(mask);
}

void restore_signal_mask() {
  Task& task = current();
  task.restore_blocked = false;
  set_blocked(task.saved_blocked);
}

Result<void> change_alternate_stack(Task& task, const AlternateStack& stack, std::uint64_t sp) {
  const AlternateStack& old = task.alternate_stack;
  const bool is_on_old = (old.flags & static_cast<int>(SS_AUTODISARM)) == 0 && sp > old.base &&
                         sp - old.base <= old.size;
  if (is_on_old) return fail(Errno::kPerm);
  const int mode = stack.flags & ~static_cast<int>(SS_FLAG_BITS);
  if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0) return fail(Errno::kInval);
  AlternateStack wanted = stack;
  wanted.padding = 0;
  if (mode == SS_DISABLE) {
    wanted.base = wanted.size = 0;
  } else if (stack.size < kMinimumStack) {
    return fail(Errno::kNoMem);
  }
  task.alternate_stack = wanted;
  return {};
}

SyscallResult sys_rt_sigaction(const SyscallArgs& args) {
  const int signal = int_argument(args, 0);
  const UserAddr wanted_at = address_argument(args, 1);
  const UserAddr old_at = address_argument(args, 2);
  QUIRE_CHECK(check_set_size(args.a[3]));
  SignalAction wanted{};
  if (wanted_at != 0) QUIRE_CHECK(copy_from_user(&wanted, wanted_at, sizeof wanted));
  if (!is_signal(signal) || (wanted_at != 0 && (kUnblockable & signal_bit(signal)) != 0))
    return fail(Errno::kInval);
  SignalAction old;
  {
    const TaskGuard guard(task_lock);
    old = current_process().actions->action[signal - 1];
  }
  if (wanted_at != 0) QUIRE_CHECK(replace_action(signal, wanted));
  if (old_at != 0) QUIRE_CHECK(put_user(old_at, old));
  return 0;
}

SyscallResult sys_rt_sigprocmask(const SyscallArgs& args) {
  const UserAddr set_at = address_argument(args, 1);
  const UserAddr old_at = address_argument(args, 2);
  QUIRE_CHECK(check_set_size(args.a[3]));
  const SignalSet old = current().blocked;
  if (set_at != 0) {
    QUIRE_TRY(const auto set, get_user<SignalSet>(set_at));
    switch (int_argument(args, 0)) {
      case SIG_BLOCK:
        set_blocked(old | set);
        break;
      case SIG_UNBLOCK:
        set_blocked(old & ~set);
        break;
      case SIG_SETMASK:
        set_blocked(set);
        break;
      default:
        return fail(Errno::kInval);
    }
  }
  if (old_at != 0) QUIRE_CHECK(put_user(old_at, old));
  return 0;
}

SyscallResult sys_rt_sigpending(const SyscallArgs& args) {
  if (args.a[1] > sizeof(SignalSet)) return fail(Errno::kInval);
  SignalSet waiting = 0;
  {
    Task& task = current();
    const TaskGuard guard(task_lock);
    waiting = (task.pending.set() | task.process->pending.set()) & task.blocked;
  }
  QUIRE_CHECK(copy_to_user(address_argument(args, 0), &waiting, args.a[1]));
  return 0;
}

SyscallResult sys_rt_sigsuspend(const SyscallArgs& args) {
  QUIRE_CHECK(check_set_size(args.a[1]));
  QUIRE_TRY(const auto mask, get_user<SignalSet>(address_argument(args, 0)));
  set_temporary_signal_mask(mask);
  sleep_until_signal();
  return fail(kRestartNoHand);
}

SyscallResult sys_pause(const SyscallArgs&) {
  sleep_until_signal();
  return fail(kRestartNoHand);
}

SyscallResult sys_rt_sigtimedwait(const SyscallArgs& args) {
  const UserAddr info_at = address_argument(args, 1);
  const UserAddr timeout_at = address_argument(args, 2);
  QUIRE_CHECK(check_set_size(args.a[3]));
  QUIRE_TRY(const auto wanted, get_user<SignalSet>(address_argument(args, 0)));
  Deadline deadline = kForever;
  if (timeout_at != 0) {
    QUIRE_TRY(const std::uint64_t timeout, get_duration(timeout_at));
    deadline = deadline_after(timeout);
  }
  QUIRE_TRY(const SignalInfo info, wait_for_signal(wanted & ~kUnblockable, deadline));
  if (info_at != 0) {
    uapi::siginfo_t user{};
    std::memcpy(&user, &info, sizeof info);
    QUIRE_CHECK(put_user(info_at, user));
  }
  return info.signal;
}

SyscallResult sys_sigaltstack(const SyscallArgs& args) {
  const UserAddr wanted_at = address_argument(args, 0);
  const UserAddr old_at = address_argument(args, 1);
  Task& task = current();
  AlternateStack old = task.alternate_stack;
  const std::uint64_t sp = args.frame.rsp;
  if (old.size == 0) {
    old.flags = SS_DISABLE;
  } else if ((old.flags & static_cast<int>(SS_AUTODISARM)) == 0 && sp > old.base &&
             sp - old.base <= old.size) {
    old.flags |= SS_ONSTACK;
  }
  if (wanted_at != 0) {
    QUIRE_TRY(const auto wanted, get_user<AlternateStack>(wanted_at));
    QUIRE_CHECK(change_alternate_stack(task, wanted, sp));
  }
  if (old_at != 0) QUIRE_CHECK(put_user(old_at, old));
  return 0;
}

SyscallResult sys_rt_sigreturn(const SyscallArgs& args) {
  if (!pop_signal_frame(args.frame)) force_signal(SignalInfo::from_kernel(SIGSEGV));
  return static_cast<std::int64_t>(args.frame.rax);
}

}  // namespace quire::kernel
