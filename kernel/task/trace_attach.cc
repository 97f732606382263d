// How a tracer comes to a task: PTRACE_TRACEME, PTRACE_ATTACH, PTRACE_SEIZE. Linux v6.12 kernel/ptrace.c:ptrace_traceme(), ptrace_attach().
#include <linux/ptrace.h>

#include "sched/wait.h"
#include "task/signals.h"
#include "task/trace_requests.h"
#include "task/tracing.h"

namespace quire::kernel {

namespace {

/// The task that a child of `process` begins to be traced by: who made it, if that still lives. Locks: task_lock held.
Task* maker_of(const Process& process) {
  Process* const parent = process.parent;
  if (parent == nullptr || parent->kernel_made || parent->tasks.empty()) return nullptr;
  Task* const maker = tree().find_task(process.maker);
  return maker != nullptr && maker->process.get() == parent ? maker : &parent->first_task();
}

/// Locks: task_lock held. Errors: ESRCH, EPERM.
Result<Task*> task_to_trace_locked(Pid tid) {
  Task* const task = tree().find_task(tid);
  if (task == nullptr) return fail(Errno::kSrch);
  const Process& process = *task->process;
  if (process.kernel_made || &process == &current_process()) return fail(Errno::kPerm);
  return task;
}

/// Errors: ESRCH, EPERM; kRestartNoInterrupt.
Result<void> wait_for_execs(Pid tid) {
  RefPtr<Process> process;
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(Task* const task, task_to_trace_locked(tid));
    if (task->process->execs == 0) return {};
    process = task->process;
  }
  const auto has_none = [&] {
    const TaskGuard guard(task_lock);
    return process->execs == 0;
  };
  if (wait_until(process->execs_changed, has_none, Interruptible::kYes) != WaitResult::kDone) return fail(kRestartNoInterrupt);
  return {};
}

/// Whether the task had stopped already. Errors: EPERM, ESRCH; EAGAIN: look again.
enum class Was : std::uint8_t { kRunning, kStopped };
Result<Was> attach_locked(Pid tid, std::unique_ptr<Tracing>& tracing) {
  QUIRE_TRY(Task* const task, task_to_trace_locked(tid));
  Process& process = *task->process;
  const Credentials& own = current_credentials();
  if (process.execs != 0) return fail(Errno::kAgain);
  if (!may_reach_into(task->credentials->value, process.dumpable, own.uid, own.gid) || task->tracing != nullptr) return fail(Errno::kPerm);
  const bool seizes = tracing->state.is_seized();
  const Was was = task->stopped ? Was::kStopped : Was::kRunning;
  link_tracing_locked(current(), *task, std::move(tracing));
  std::unique_ptr<QueuedSignal> none;
  if (!seizes) send_locked(process, task, SignalInfo::from_kernel(SIGSTOP), none);
  process.resume.wake_all();  // who is stopped stops anew, for its tracer
  update_attention_locked(*task);
  return was;
}

/// Waits until a task that had stopped before has stopped for its tracer.
void wait_for_stop(Pid tid) {
  const auto is_stopped = [tid] {
    const TaskGuard guard(task_lock);
    const Task* const task = tree().find_task(tid);
    const Tracing* const tracing = task == nullptr ? nullptr : task->tracing.load();
    return tracing == nullptr || tracing->tracer != &current() || !tracing->state.owes_stop() || is_to_end_locked(*task);
  };
  static_cast<void>(wait_until(current_process().child_events, is_stopped, Interruptible::kYes));
}

}  // namespace

SyscallResult trace_me() {
  const bool may_gain = current_credentials().can(CAP_SYS_PTRACE);
  auto tracing = std::make_unique<Tracing>(TraceState(TraceKind::kAttached), may_gain);
  Task& task = current();
  const TaskGuard guard(task_lock);
  Task* const tracer = maker_of(*task.process);
  if (task.tracing != nullptr || tracer == nullptr) return fail(Errno::kPerm);
  const Credentials &own = task.credentials->value, &theirs = tracer->credentials->value;
  if ((own.capabilities.permitted & ~theirs.capabilities.permitted) != 0 && !theirs.can(CAP_SYS_PTRACE)) return fail(Errno::kPerm);
  link_tracing_locked(*tracer, task, std::move(tracing));
  return 0;
}

SyscallResult trace_other(Pid tid, const TraceState& state) {
  auto tracing = std::make_unique<Tracing>(state, current_credentials().can(CAP_SYS_PTRACE));
  Result<Was> attached = fail(Errno::kAgain);
  while (!attached && attached.error() == Errno::kAgain) {
    QUIRE_CHECK(wait_for_execs(tid));
    const TaskGuard guard(task_lock);
    attached = attach_locked(tid, tracing);
  }
  QUIRE_TRY(const Was was, attached);
  if (was == Was::kStopped) wait_for_stop(tid);
  return 0;
}

}  // namespace quire::kernel
