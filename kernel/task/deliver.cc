// Before every return to user mode: take signals, act on them, settle interrupted system calls.
#include "arch/trap_frame.h"
#include "task/calls.h"
#include "task/exit.h"
#include "task/signals.h"
#include "task/tracing.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kNoSyscall = ~std::uint64_t{0};
/// Bytes of the syscall instruction, to step back over.
constexpr std::uint64_t kSyscallLength = 2;

/// What a system call left in rax if it wants to be restarted, else 0.
int restart_code(const TrapFrame& frame) {
  if (frame.orig_rax == kNoSyscall) return 0;
  const auto result = static_cast<std::int64_t>(frame.rax);
  for (const Errno code : {kRestartSys, kRestartNoInterrupt, kRestartNoHand, kRestartBlock}) {
    if (result == -static_cast<std::int64_t>(code)) return static_cast<int>(code);
  }
  return 0;
}

void restart_syscall(TrapFrame& frame, std::uint64_t number) {
  frame.rax = number;
  frame.rip -= kSyscallLength;
}

/// Linux v6.12 arch/x86/kernel/signal.c:handle_signal(): which calls restart although a handler
/// runs first.
void settle_before_handler(TrapFrame& frame, const SignalAction& action) {
  const int code = restart_code(frame);
  if (code == 0) return;
  const bool restarts = code == static_cast<int>(kRestartNoInterrupt) ||
                        (code == static_cast<int>(kRestartSys) && (action.flags & SA_RESTART) != 0);
  if (restarts) {
    restart_syscall(frame, frame.orig_rax);
  } else {
    frame.rax = static_cast<std::uint64_t>(-static_cast<std::int64_t>(Errno::kIntr));
  }
  frame.orig_rax = kNoSyscall;
}

void settle_without_handler(TrapFrame& frame) {
  const int code = restart_code(frame);
  if (code == 0) return;
  restart_syscall(frame,
                  code == static_cast<int>(kRestartBlock) ? __NR_restart_syscall : frame.orig_rax);
  frame.orig_rax = kNoSyscall;
}

/// Default action of a signal that is not ignored: stop or end. Returns with the process state
/// changed, if it is. Locks: task_lock held.
void act_by_default_locked(Process& process, int signal) {
  if ((kStopSignals & signal_bit(signal)) == 0) {
    end_process_locked(process, signal);
    return;
  }
  if (signal != SIGSTOP && is_orphaned_locked(*process.group, nullptr)) return;
  // Who is traced may go on while the others are stopped, and take another one.
  if (process.stop != Process::Stop::kRunning && current().tracing == nullptr) return;
  if (process.stop == Process::Stop::kRunning) {
    process.stop = Process::Stop::kStopping;
    process.stop_signal = signal;
  }
  for (Task& task : process.tasks) {
    if (Tracing* const tracing = task.tracing; tracing != nullptr) tracing->state.begin_group_stop(signal);
    update_attention_locked(task);
  }
}

/// Takes signals until one has a handler. Does not return if the task is to end.
bool next_handled_signal(SignalInfo& info, SignalAction& action) {
  Task& task = current();
  Process& process = *task.process;
  std::unique_ptr<QueuedSignal> node;
  task_lock.lock();
  for (;;) {
    if (is_to_end_locked(task)) {
      const int status = process.end_status;
      task_lock.unlock();
      node.reset();
      exit_task(status);
    }
    if (const Tracing* const tracing = task.tracing; tracing != nullptr) {
      if (tracing->state.owes_stop()) {
        stop_as_owed_locked();
        continue;
      }
    } else if (process.stop != Process::Stop::kRunning) {
      stop_here_locked();
      continue;
    }
    if (node != nullptr) {
      task_lock.unlock();
      node.reset();
      task_lock.lock();
      continue;
    }
    if (!take_signal_locked(task, ~task.blocked, info, node)) break;
    if (task.tracing != nullptr && !pass_signal_locked(info, node)) continue;
    SignalAction& registered = process.actions->action[info.signal - 1];
    if (is_ignored_locked(process, info.signal)) continue;
    if (registered.handler == kDefaultHandler) {
      act_by_default_locked(process, info.signal);
      continue;
    }
    action = registered;
    if ((action.flags & SA_RESETHAND) != 0) registered.handler = kDefaultHandler;
    task_lock.unlock();
    return true;
  }
  update_attention_locked(task);
  task_lock.unlock();
  return false;
}

/// Starts the handler. A frame that does not fit ends in SIGSEGV (Linux v6.12 kernel/signal.c:signal_setup_done()).
void start_handler(TrapFrame& frame, const SignalInfo& info, const SignalAction& action) {
  Task& task = current();
  const SignalSet return_mask = task.restore_blocked ? task.saved_blocked : task.blocked;
  settle_before_handler(frame, action);
  const bool stepped = task.tracer_steps;
  if (stepped) {  // what the handler's context shows is the program's own
    const TaskGuard guard(task_lock);
    stop_stepping_locked(task);
  }
  const bool settled = task.sequence == Sequence::kNone || settle_sequence(frame).has_value();
  if (!settled || !push_signal_frame(frame, info, action, return_mask)) return force_segv(info.signal);
  task.restore_blocked = false;
  SignalSet blocked = task.blocked | action.mask;
  if ((action.flags & SA_NODEFER) == 0) blocked |= signal_bit(info.signal);
  set_blocked(blocked);
  if (stepped) report_handler();
}

/// What is due before a return to user mode, if anything is.
[[gnu::noinline]] void do_return_work(TrapFrame& frame) {
  Task& task = current();
  const unsigned work = std::exchange(task.return_work, 0);
  if ((work & Task::kCallWatched) != 0) end_watched_call(frame);
  if ((work & Task::kStarting) != 0) {
    // Linux v6.12 kernel/sched/core.c:schedule_tail(): a bad address is the program's affair.
    if (task.set_child_tid != 0) static_cast<void>(put_user(task.set_child_tid, task.tid));
  }
  while (task.attention.load(std::memory_order_acquire)) {
    SignalInfo info;
    SignalAction action;
    if (!next_handled_signal(info, action)) break;
    start_handler(frame, info, action);
  }
  if (static_cast<std::int64_t>(frame.rax) < 0) [[unlikely]]
    settle_without_handler(frame);
  if (task.restore_blocked) [[unlikely]] {
    task.restore_blocked = false;
    set_blocked(task.saved_blocked);
    if (task.attention.load(std::memory_order_acquire)) do_return_work(frame);
  }
}

}  // namespace

void return_to_user_work(TrapFrame& frame) {
  const auto& task = static_cast<const Task&>(current_thread());
  const bool due = task.attention.load(std::memory_order_acquire) || task.return_work != 0 || task.restore_blocked ||
                   static_cast<std::int64_t>(frame.rax) < 0;
  if (due) [[unlikely]]
    do_return_work(frame);
}

SyscallResult sys_restart_syscall(const SyscallArgs&) {
  RestartBlock& block = current().restart;
  const auto function = std::exchange(block.function, nullptr);
  if (function == nullptr) return fail(Errno::kIntr);
  return function(block);
}

}  // namespace quire::kernel
