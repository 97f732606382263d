// Sending and taking signals, inside task/.
//
// A signal is sent under task_lock to a task or to a process; whoever is to take it gets
// `attention`, which ends its interruptible sleep or its stay in user mode, and takes it in
// return_to_user_work(). Real-time signals need a node, allocated before the lock
// (`new QueuedSignal`, only for those). SIGKILL, exit_group and a fatal default action are one
// thing: the process is `ending`. Does not do: core dumps.
#pragma once

#include "task/process.h"
#include "task/uapi.h"

namespace quire::kernel {

inline constexpr SignalSet kUnblockable = signal_bit(SIGKILL) | signal_bit(SIGSTOP);
inline constexpr SignalSet kStopSignals =
    signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU);
inline constexpr SignalSet kIgnoredByDefault =
    signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGWINCH) | signal_bit(SIGURG);
/// Raised by the program's own instruction; taken before all others (Linux v6.12 kernel/signal.c:
/// SYNCHRONOUS_MASK).
inline constexpr SignalSet kSynchronous = signal_bit(SIGSEGV) | signal_bit(SIGBUS) |
                                          signal_bit(SIGILL) | signal_bit(SIGTRAP) |
                                          signal_bit(SIGFPE) | signal_bit(SIGSYS);
inline constexpr UserAddr kDefaultHandler = 0;
inline constexpr UserAddr kIgnoreHandler = 1;

[[nodiscard]] constexpr bool is_signal(std::int64_t number) {
  return number >= 1 && number <= kSignalCount;
}
/// A node for `signal` if it is one that queues, else null.
std::unique_ptr<QueuedSignal> make_node(int signal);

/// Sends to `target`, or to any task of `process` if that is null. A signal the receiver ignores is
/// dropped; SIGCONT and the stop signals cancel each other and SIGCONT resumes, whatever becomes of
/// the signal itself. Locks: task_lock held.
void send_locked(Process& process, Task* target, const SignalInfo& info,
                 std::unique_ptr<QueuedSignal>& node);
/// The same for a standard signal, which needs no node.
void send_locked(Process& process, const SignalInfo& info);
/// Ends the whole process: every task exits with `status` (as wait reports it) when it next leaves
/// the kernel. Only the first call counts. Locks: task_lock held.
void end_process_locked(Process& process, int status);
/// Whether `task` is to exit: with its process, or because a sibling executes a new program.
/// Locks: task_lock held.
bool is_to_end_locked(const Task& task);
/// Whether `task` has something to do before it returns to user mode. Locks: task_lock held.
bool needs_attention_locked(const Task& task);
/// Recomputes `attention`, and interrupts the task if it now has it. Locks: task_lock held.
void update_attention_locked(Task& task);
/// Whether the default action, or SIG_IGN, would throw `signal` away. Locks: task_lock held.
bool is_ignored_locked(const Process& process, int signal);

/// Whether the current task may send `signal` to `target`. Locks: task_lock held.
bool may_signal_locked(Process& target, int signal);

/// A process's own copy of actions that it shares.
RefPtr<SignalActions> copy_actions(const SignalActions& from);
/// Handlers become the default action, what is ignored stays so (exec; Linux v6.12
/// kernel/signal.c:flush_signal_handlers()). Locks: task_lock held, or nobody else knows `actions`.
void reset_handlers(SignalActions& actions);

/// Replaces the current task's mask. Signals to the process that it now blocks are offered to its
/// siblings.
void set_blocked(SignalSet blocked);
/// Takes the next signal of `wanted` for `task`. Locks: task_lock held.
bool take_signal_locked(Task& task, SignalSet wanted, SignalInfo& info,
                        std::unique_ptr<QueuedSignal>& node);
/// Sends a signal that the current task cannot escape: if it blocks or ignores it, the default
/// action is restored first (Linux v6.12 kernel/signal.c:force_sig_info_to_task()).
void force_signal(const SignalInfo& info);

/// SIGSEGV, because the frame of `signal` cannot be made: it ends the process if that is the signal at hand, or is blocked (Linux v6.12
/// kernel/signal.c:force_sigsegv()).
void force_segv(int signal);

/// Ends a restartable sequence that the current task is in and tells it its CPU. Errors: EINVAL, EFAULT: the program has broken the rules.
Result<void> settle_sequence(TrapFrame& frame);
/// Undoes a registration, for exec; hands it on, for fork.
void forget_sequences(Task& task);
void inherit_sequences(const Task& parent, Task& child);

/// Tells the parent of a child's stop, continuation or end: SIGCHLD with `code` (CLD_*), and a
/// wake-up of its waits. Returns whether a dead child need not wait to be reaped, because the
/// parent ignores it. Locks: task_lock held.
bool notify_parent_locked(Process& child, int code, int status);
/// Whether ended children of `process` need not wait for it. Locks: task_lock held.
bool ignores_children_locked(const Process& process);
/// The same as notify_parent_locked() for a tracer: its task stops (CLD_TRAPPED, CLD_STOPPED), or ends with `status` as wait reports it.
/// Locks: task_lock held.
void tell_tracer_of_stop_locked(const Tracing& tracing, int code, int status);
void tell_tracer_of_end_locked(const Tracing& tracing, int status);
/// Stops the current task while its process is stopped. Locks: task_lock held; let go while it
/// sleeps.
void stop_here_locked();
/// Whether the tasks of a stopping process have all come to a halt; if so, completes the stop.
/// Locks: task_lock held.
void complete_stop_locked(Process& process);

/// Whether `group` has no member whose parent is in the same session but another group (man7
/// setpgid(2)). `but` counts as gone. Locks: task_lock held.
bool is_orphaned_locked(const ProcessGroup& group, const Process* but);
/// SIGHUP and SIGCONT to a group with stopped members that became an orphan. Locks: task_lock held.
void release_orphans_locked(ProcessGroup& group, const Process* but);

/// Puts a handler's frame on the user stack and points `frame` at the handler. Errors: EFAULT (the
/// stack cannot take it).
Result<void> push_signal_frame(TrapFrame& frame, const SignalInfo& info, const SignalAction& action,
                               SignalSet return_mask);
/// sigaltstack(2)'s change, for a caller whose stack pointer is `sp`. Errors: EPERM (it runs on the
/// old one), EINVAL, ENOMEM.
Result<void> change_alternate_stack(Task& task, const AlternateStack& stack, std::uint64_t sp);
/// Undoes push_signal_frame(). Errors: EFAULT.
Result<void> pop_signal_frame(TrapFrame& frame);

}  // namespace quire::kernel
