// The tracee's side: it stops, tells its tracer, waits for the answer, and goes on as that says. Linux v6.12 kernel/signal.c:ptrace_stop(),
// ptrace_signal(), do_jobctl_trap(); include/linux/ptrace.h.
#include <linux/ptrace.h>

#include "arch/registers.h"
#include "arch/trap_frame.h"
#include "sched/wait.h"
#include "task/signals.h"
#include "task/tracing.h"

namespace quire::kernel {

namespace {

/// What RAX shows within a system call.
constexpr auto kNoResultYet = static_cast<std::uint64_t>(-static_cast<std::int64_t>(Errno::kNoSys));

enum class WhileEnding : std::uint8_t { kNo, kYes };

/// How the current task enters its next system call, as its tracer wants it now. Locks: task_lock held.
void heed_mode_locked(Task& task) {
  const Tracing* const tracing = task.tracing;
  task.direct_syscalls = tracing == nullptr || tracing->state.mode == TraceMode::kFree ? kSyscallNumbers : 0;
}

/// What a stop that is no signal's shows.
SignalInfo info_of_stop(int signal, int code) {
  SignalInfo info = SignalInfo::from_current(signal, code);
  info.error = 0;
  return info;
}

bool joins_group_stop(const Task& task, const TraceStop& stop) {
  return task.process->stop != Process::Stop::kRunning && task.tracing.load()->state.owes_group_stop() && stop.is_owed;
}

/// Tells of the stop, which begins. Locks: task_lock held.
void begin_stop_locked(Task& task, TraceStop& stop) {
  Process& process = *task.process;
  Tracing& tracing = *task.tracing.load();
  const bool joins = joins_group_stop(task, stop);
  tracing.state.on_stop(stop.code, joins ? TraceState::Part::kInGroupStop : TraceState::Part::kNone);
  task.trace_stop = &stop;
  if (stop.is_owed) {
    tell_tracer_of_stop_locked(tracing, CLD_STOPPED, stop.code & 0x7f);
  } else {
    tell_tracer_of_stop_locked(tracing, CLD_TRAPPED, stop.code & 0x7f);
  }
  if (!joins) return;
  task.stopped = true;
  complete_stop_locked(process);
}

/// Fills in the FPU state. Locks: task_lock held; let go meanwhile.
void save_fpu_locked(TraceStop& stop) {
  task_lock.unlock();
  stop.fpu = std::make_unique<std::byte[]>(Thread::fpu_frame_size());
  current().save_fpu_frame(stop.fpu.get());
  task_lock.lock();
}

/// Stops as `stop` says, unless nobody traces the task any more or it is to end. Returns whether it has stopped.
/// Locks: task_lock held; let go while it waits.
bool stop_here_for_tracer_locked(TraceStop& stop, WhileEnding while_ending = WhileEnding::kNo) {
  Task& task = current();
  if (stop.fpu == nullptr) save_fpu_locked(stop);
  if (task.tracing == nullptr || (while_ending == WhileEnding::kNo && is_to_end_locked(task))) return false;
  begin_stop_locked(task, stop);
  task_lock.unlock();
  {
    Sleeper sleeper;
    sleeper.add(task.killed);
    const auto goes_on = [&] {
      const TaskGuard guard(task_lock);
      return task.trace_stop != &stop;
    };
    while (!goes_on()) sleeper.sleep(Interruptible::kNo);
  }
  if (stop.fpu_changed) task.restore_fpu_frame(stop.fpu.get());
  task.load_bases();
  task_lock.lock();
  heed_mode_locked(task);
  update_attention_locked(task);  // who is stopped is not told of signals to its process
  return true;
}

/// Sends what the tracer asked for in a stop that had no signal of its own. Locks: task_lock held.
void send_answer_locked(const TraceStop& stop) {
  if (stop.signal == 0) return;
  Task& task = current();
  std::unique_ptr<QueuedSignal> none;
  send_locked(*task.process, &task, SignalInfo::from_kernel(stop.signal), none);
}

/// A stop before or after a system call. Locks: as stop_here_for_tracer_locked().
void stop_at_call_locked(std::uint64_t message) {
  TraceStop stop;
  stop.code = current().tracing.load()->state.call_code();
  stop.info = info_of_stop(SIGTRAP, stop.code);
  stop.has_info = true;
  stop.message = message;
  if (stop_here_for_tracer_locked(stop)) send_answer_locked(stop);
}

/// Locks: as stop_here_for_tracer_locked().
void stop_at_event_locked(unsigned event, std::uint64_t message, WhileEnding while_ending) {
  Task& task = current();
  TraceStop stop;
  stop.code = TraceState::event_code(event);
  stop.info = info_of_stop(SIGTRAP, stop.code);
  stop.has_info = true;
  stop.message = message;
  if (while_ending == WhileEnding::kNo) task.trap_frame().rax = kNoResultYet;
  if (stop_here_for_tracer_locked(stop, while_ending)) task.return_work |= Task::kCallWatched;
}

bool wants_event_locked(const Task& task, unsigned event) {
  const Tracing* const tracing = task.tracing;
  return tracing != nullptr && tracing->state.wants(event);
}

}  // namespace

void stop_as_owed_locked() {
  const Task& task = current();
  TraceStop stop;
  save_fpu_locked(stop);
  const Tracing* const tracing = task.tracing;
  if (tracing == nullptr || !tracing->state.owes_stop()) return;
  const TraceState::Owed owed = tracing->state.owed(task.process->stop != Process::Stop::kRunning);
  stop.code = owed.code;
  stop.has_info = owed.has_info;
  stop.info = info_of_stop(owed.code & 0x7f, owed.code);
  stop.is_owed = true;
  stop_here_for_tracer_locked(stop);
}

bool pass_signal_locked(SignalInfo& info, std::unique_ptr<QueuedSignal>& node) {
  Task& task = current();
  TraceStop stop;
  stop.code = info.signal;
  stop.info = info;
  stop.has_info = stop.passes_signal = true;
  const Pid tracer = task.tracing.load()->tracer->tid;
  const std::uint32_t user = credentials_of_locked(*task.tracing.load()->tracer->process).uid;
  if (!stop_here_for_tracer_locked(stop)) return true;
  if (stop.signal == 0) return false;
  info = stop.info;
  if (stop.signal != info.signal) {
    info = {};
    info.signal = stop.signal;
    info.code = SI_USER;
    info.sender.pid = tracer;
    info.sender.uid = user;
  }
  const bool must_wait = (task.blocked & signal_bit(info.signal)) != 0 || is_to_end_locked(task);
  if (must_wait) send_locked(*task.process, &task, info, node);
  return !must_wait;
}

void report_event(unsigned event, std::uint64_t message) {
  const Task& task = current();
  if (task.tracing.load(std::memory_order_relaxed) == nullptr) [[likely]]
    return;
  const TaskGuard guard(task_lock);
  if (wants_event_locked(task, event)) stop_at_event_locked(event, message, WhileEnding::kNo);
}

void report_exec(Pid old_tid) {
  Task& task = current();
  if (task.tracing.load(std::memory_order_relaxed) == nullptr) [[likely]]
    return;
  const SignalInfo trap = SignalInfo::from_current(SIGTRAP, SI_USER);
  std::unique_ptr<QueuedSignal> none;
  const TaskGuard guard(task_lock);
  const Tracing* const tracing = task.tracing;
  if (tracing == nullptr) return;
  if (tracing->state.wants(PTRACE_EVENT_EXEC)) {
    stop_at_event_locked(PTRACE_EVENT_EXEC, static_cast<std::uint64_t>(old_tid), WhileEnding::kNo);
  } else if (!tracing->state.is_seized()) {
    send_locked(*task.process, &task, trap, none);
  }
}

void report_exit(int status) {
  const Task& task = current();
  if (task.tracing.load(std::memory_order_relaxed) == nullptr) [[likely]]
    return;
  const TaskGuard guard(task_lock);
  if (wants_event_locked(task, PTRACE_EVENT_EXIT))
    stop_at_event_locked(PTRACE_EVENT_EXIT, static_cast<std::uint64_t>(status), WhileEnding::kYes);
}

void report_handler() {
  Task& task = current();
  const TaskGuard guard(task_lock);
  if (task.tracing == nullptr) return;
  TraceStop stop;
  stop.code = SIGTRAP;
  stop.info = info_of_stop(SIGTRAP, SIGTRAP);
  stop.has_info = true;
  stop_here_for_tracer_locked(stop);
}

bool begin_watched_call(TrapFrame& frame) {
  Task& task = current();
  frame.rax = kNoResultYet;
  const TaskGuard guard(task_lock);
  heed_mode_locked(task);
  const Tracing* const tracing = task.tracing;
  if (tracing == nullptr || tracing->state.mode == TraceMode::kFree) return true;
  task.return_work |= Task::kCallWatched;
  if (tracing->state.mode == TraceMode::kSystemCalls) stop_at_call_locked(PTRACE_EVENTMSG_SYSCALL_ENTRY);
  return !is_to_end_locked(task);
}

void end_watched_call(TrapFrame& frame) {
  Task& task = current();
  SignalInfo step{};
  step.signal = SIGTRAP;
  step.code = TRAP_BRKPT;
  step.fault.address = frame.rip;
  {
    const TaskGuard guard(task_lock);
    const Tracing* const tracing = task.tracing;
    if (tracing == nullptr || tracing->state.mode == TraceMode::kFree) return;
    if (tracing->state.mode == TraceMode::kSystemCalls) return stop_at_call_locked(PTRACE_EVENTMSG_SYSCALL_EXIT);
  }
  force_signal(step);
}

bool is_stale_step(TrapFrame& frame) {
  Task& task = current();
  const TaskGuard guard(task_lock);
  if (!task.tracer_steps || task.tracing != nullptr) return false;
  task.tracer_steps = false;
  frame.rflags &= ~kFlagTrap;
  return true;
}

bool tracer_lets_gain() {
  const TaskGuard guard(task_lock);
  const Tracing* const tracing = current().tracing;
  return tracing == nullptr || tracing->tracee_may_gain;
}

bool may_reach_into(const Credentials& theirs, int dumpable, std::uint32_t uid, std::uint32_t gid) {
  const Credentials& own = current_credentials();
  if (own.can(CAP_SYS_PTRACE)) return true;
  const bool same =
      uid == theirs.euid && uid == theirs.suid && uid == theirs.uid && gid == theirs.egid && gid == theirs.sgid && gid == theirs.gid;
  const bool has_more = (theirs.capabilities.permitted & ~own.capabilities.permitted) != 0;
  return same && dumpable == 1 && !has_more;
}

}  // namespace quire::kernel
