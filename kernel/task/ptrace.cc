// ptrace(2): who may ask what, and how a tracee goes on. Behaviour: man7 ptrace(2); Linux v6.12 kernel/ptrace.c:SYSCALL_DEFINE4(ptrace),
// ptrace_request(), arch/x86/kernel/ptrace.c:arch_ptrace().
#include <linux/ptrace.h>

#include "arch/registers.h"
#include "arch/trap_frame.h"
#include "task/calls.h"
#include "task/signals.h"
#include "task/trace_requests.h"

namespace quire::kernel {

namespace {

/// Options as PTRACE_SETOPTIONS and PTRACE_SEIZE take them. There are no filters to suspend, as in a Linux without them.
constexpr std::uint64_t kOptions = PTRACE_O_MASK & ~std::uint64_t{PTRACE_O_SUSPEND_SECCOMP};

SyscallResult seize(const TraceRequest& request) {
  if (request.address != 0 || (request.data & ~std::uint64_t{PTRACE_O_MASK}) != 0) return fail(Errno::kIo);
  if ((request.data & ~kOptions) != 0) return fail(Errno::kInval);
  return trace_other(request.tid, TraceState(TraceKind::kSeized, static_cast<std::uint32_t>(request.data)));
}

SyscallResult set_options(const TraceRequest& request) {
  if ((request.data & ~kOptions) != 0) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
  task->tracing.load()->state.set_options(static_cast<std::uint32_t>(request.data));
  return 0;
}

/// Errors: EIO.
Result<int> signal_to_pass(const TraceRequest& request) {
  if (request.data > kSignalCount) return fail(Errno::kIo);
  return static_cast<int>(request.data);
}

SyscallResult go_on(const TraceRequest& request, TraceMode mode) {
  QUIRE_TRY(const int signal, signal_to_pass(request));
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
  TrapFrame& frame = task->trap_frame();
  if (mode != TraceMode::kSteps) {
    stop_stepping_locked(*task);
  } else if ((frame.rflags & kFlagTrap) == 0) {
    frame.rflags |= kFlagTrap;
    task->tracer_steps = true;
  }
  task->tracing.load()->state.mode = mode;
  task->trace_stop->signal = signal;
  end_trace_stop_locked(*task);
  return 0;
}

SyscallResult detach(const TraceRequest& request) {
  QUIRE_TRY(const int signal, signal_to_pass(request));
  DiscardedTracings discarded;
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
  end_tracing_locked(*task->tracing.load(), signal, discarded);
  return 0;
}

/// Whether stopped or not: a stop of PTRACE_EVENT_STOP is demanded of a tracee that was seized. Errors: EIO.
SyscallResult interrupt(const TraceRequest& request) {
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, tracee_locked(request.tid));
  TraceState& state = task->tracing.load()->state;
  if (!state.is_seized()) return fail(Errno::kIo);
  state.demand_stop();
  if (task->trace_stop != nullptr && task->trace_stop->listening) end_trace_stop_locked(*task);
  update_attention_locked(*task);
  return 0;
}

/// Errors: EIO.
SyscallResult listen(const TraceRequest& request) {
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
  const TraceState& state = task->tracing.load()->state;
  TraceStop& stop = *task->trace_stop;
  if (!state.is_seized() || stop.info.code >> 8 != PTRACE_EVENT_STOP) return fail(Errno::kIo);
  stop.listening = true;
  if (state.has_notice()) end_trace_stop_locked(*task);
  return 0;
}

SyscallResult kill_tracee(const TraceRequest& request) {
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, tracee_locked(request.tid));
  send_locked(*task->process, SignalInfo::from_current(SIGKILL, SI_USER));
  return 0;
}

SyscallResult obey_stopped(std::uint64_t number, const TraceRequest& request) {
  switch (number) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
      return peek_memory(request);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
      return poke_memory(request);
    case PTRACE_PEEKUSR:
      return peek_user_area(request);
    case PTRACE_POKEUSR:
      return poke_user_area(request);
    case PTRACE_GETREGS:
      return get_registers(request);
    case PTRACE_SETREGS:
      return set_registers(request);
    case PTRACE_GETFPREGS:
      return get_fpu_registers(request);
    case PTRACE_SETFPREGS:
      return set_fpu_registers(request);
    case PTRACE_GETREGSET:
      return get_register_set(request);
    case PTRACE_SETREGSET:
      return set_register_set(request);
    case PTRACE_GETSIGINFO:
      return get_signal_info(request);
    case PTRACE_SETSIGINFO:
      return set_signal_info(request);
    case PTRACE_GETSIGMASK:
      return get_signal_mask(request);
    case PTRACE_SETSIGMASK:
      return set_signal_mask(request);
    case PTRACE_GETEVENTMSG:
      return get_event_message(request);
    case PTRACE_GET_SYSCALL_INFO:
      return get_call_info(request);
    case PTRACE_OLDSETOPTIONS:
    case PTRACE_SETOPTIONS:
      return set_options(request);
    case PTRACE_CONT:
      return go_on(request, TraceMode::kFree);
    case PTRACE_SYSCALL:
      return go_on(request, TraceMode::kSystemCalls);
    case PTRACE_SINGLESTEP:
      return go_on(request, TraceMode::kSteps);
    case PTRACE_DETACH:
      return detach(request);
    case PTRACE_LISTEN:
      return listen(request);
    default:
      return fail(Errno::kIo);
  }
}

}  // namespace

Result<Task*> tracee_locked(Pid tid) {
  Task* const task = tree().find_task(tid);
  const Tracing* const tracing = task == nullptr ? nullptr : task->tracing.load();
  if (tracing == nullptr || tracing->tracer != &current()) return fail(Errno::kSrch);
  return task;
}

Result<Task*> stopped_tracee_locked(Pid tid) {
  QUIRE_TRY(Task* const task, tracee_locked(tid));
  if (task->trace_stop == nullptr || task->trace_stop->listening) return fail(Errno::kSrch);
  return task;
}

SyscallResult sys_ptrace(const SyscallArgs& args) {
  const std::uint64_t number = args.a[0];
  const TraceRequest request{static_cast<Pid>(args.a[1]), args.a[2], args.a[3]};
  if (number == PTRACE_TRACEME) return trace_me();
  if (number == PTRACE_ATTACH) return trace_other(request.tid, TraceState(TraceKind::kAttached));
  if (number == PTRACE_SEIZE) {
    {
      const TaskGuard guard(task_lock);
      if (tree().find_task(request.tid) == nullptr) return fail(Errno::kSrch);
    }
    return seize(request);
  }
  if (number == PTRACE_INTERRUPT) return interrupt(request);
  if (number == PTRACE_KILL) return kill_tracee(request);
  {
    const TaskGuard guard(task_lock);
    QUIRE_CHECK(stopped_tracee_locked(request.tid));
  }
  return obey_stopped(number, request);
}

}  // namespace quire::kernel
