// wait4 and waitid. Behaviour: man7 wait(2); Linux v6.12 kernel/exit.c:do_wait(),
// wait_consider_task().
#include "sched/wait.h"
#include "task/calls.h"
#include "task/exit.h"
#include "task/process_file.h"
#include "task/signals.h"
#include "task/tracing.h"
#include "task/usage.h"

namespace quire::kernel {

namespace {

struct WaitRequest {
  enum class Which : std::uint8_t { kAll, kProcess, kGroup, kThis } which = Which::kAll;
  Pid id = 0;
  int options = 0;
  RefPtr<Process> process;  ///< for kThis
};

/// What happened to a child.
struct WaitEvent {
  Pid pid = 0;
  std::uint32_t uid = 0;
  int code = 0;    ///< CLD_*
  int status = 0;  ///< as wait4 reports it
  ResourceTally used;
  RefPtr<Process> reaped;       ///< held until the lock is let go
  DiscardedTracings discarded;  ///< likewise
};

/// Whether the task `id` of `process` is one of those that are asked about.
bool is_meant(const Process& process, Pid id, const WaitRequest& request) {
  switch (request.which) {
    case WaitRequest::Which::kAll:
      return true;
    case WaitRequest::Which::kProcess:
      return id == request.id;
    case WaitRequest::Which::kThis:
      return &process == request.process.get() && id == process.pid;
    case WaitRequest::Which::kGroup:
      return process.group->id == request.id;
  }
  return false;
}

bool is_eligible(const Process& child, const WaitRequest& request) {
  if (!is_meant(child, child.pid, request)) return false;
  if ((request.options & __WALL) != 0) return true;
  return (child.exit_signal != SIGCHLD) == ((request.options & __WCLONE) != 0);
}

void tell_end(WaitEvent& event, int status) {
  event.status = status;
  event.code = signal_of_status(status) != 0 ? CLD_KILLED : CLD_EXITED;
}

bool take_event_locked(Process& child, int options, WaitEvent& event) {
  const bool keeps = (options & WNOWAIT) != 0;
  // A tracer comes before the parent, and a parent that traces gets stops and ends as a tracer only.
  const Tracing* const tracing = child.leader_tracing;
  const bool tells_stops = tracing == nullptr || tracing->is_by_stranger();
  if (child.state == Process::State::kZombie) {
    if ((options & WEXITED) == 0 || tracing != nullptr) return false;
    tell_end(event, child.end_status);
  } else if ((options & WSTOPPED) != 0 && child.stop_unreported && tells_stops) {
    event.status = (child.stop_signal << 8) | 0x7f;
    event.code = CLD_STOPPED;
    if (!keeps) child.stop_unreported = false;
  } else if ((options & WCONTINUED) != 0 && child.continue_unreported) {
    event.status = 0xffff;
    event.code = CLD_CONTINUED;
    if (!keeps) child.continue_unreported = false;
  } else {
    return false;
  }
  event.pid = child.pid;
  event.uid = credentials_of_locked(child).uid;
  event.used = tally_of_locked(child);
  event.used.add(child.children_ended);
  if (child.state == Process::State::kZombie && !keeps) event.reaped = reap_locked(child);
  return true;
}

/// What is used up by the process of a tracee that leads it, or by a thread alone. Locks: task_lock held.
ResourceTally used_by_tracee(const Tracing& tracing) {
  if (!tracing.is_of_leader()) return tracing.task != nullptr ? tally_of(*tracing.task) : tracing.used;
  ResourceTally used = tally_of_locked(*tracing.process);
  used.add(tracing.process->children_ended);
  return used;
}

/// The same for what a task traces. Linux tells a tracer of stops whether or not it asks.
bool take_traced_event_locked(Tracing& tracing, int options, WaitEvent& event) {
  const bool keeps = (options & WNOWAIT) != 0;
  Process& process = *tracing.process;
  TraceStop* const stop = tracing.task != nullptr ? tracing.task->trace_stop : nullptr;
  if (tracing.has_ended()) {
    if ((options & WEXITED) == 0) return false;
    tell_end(event, tracing.is_of_leader() ? process.end_status : tracing.end_status);
  } else if (stop != nullptr && stop->unreported && !stop->listening) {
    event.status = (stop->code << 8) | 0x7f;
    event.code = CLD_TRAPPED;
    if (!keeps) stop->unreported = false;
  } else {
    return false;
  }
  event.pid = tracing.tid;
  event.uid = credentials_of_locked(process).uid;
  event.used = used_by_tracee(tracing);
  if (tracing.has_ended() && !keeps) reap_tracee_locked(tracing, event.discarded);
  return true;
}

/// True: `event` is filled. False: there are children to wait for. Errors: ECHILD.
Result<bool> look_for_event(Process& process, const WaitRequest& request, WaitEvent& event) {
  bool has_children = false;
  const TaskGuard guard(task_lock);
  for (Process& child : process.children) {
    if (!is_eligible(child, request)) continue;
    has_children = true;
    if (take_event_locked(child, request.options, event)) return true;
  }
  for (Task& task : process.tasks) {
    if ((request.options & __WNOTHREAD) != 0 && &task != &current()) continue;
    for (Tracing& tracing : task.tracees) {
      if (!is_meant(*tracing.process, tracing.tid, request)) continue;
      has_children = true;
      if (take_traced_event_locked(tracing, request.options, event)) return true;
    }
  }
  if (!has_children) return fail(Errno::kChild);
  return false;
}

/// Waits; event.pid stays 0 if WNOHANG found nothing. Errors: ECHILD, kRestartSys.
Result<void> wait_for_event(const WaitRequest& request, WaitEvent& event) {
  Process& process = current_process();
  QUIRE_TRY(bool found, look_for_event(process, request, event));
  if (found || (request.options & WNOHANG) != 0) return {};
  Sleeper sleeper;
  sleeper.add(process.child_events);
  for (;;) {
    QUIRE_TRY(found, look_for_event(process, request, event));
    if (found) return {};
    if (sleeper.sleep(Interruptible::kYes) != WaitResult::kDone) return fail(kRestartSys);
  }
}

Result<void> put_usage(UserAddr to, const ResourceTally& used) {
  if (to == 0) return {};
  return put_user(to, to_rusage(used));
}

}  // namespace

SyscallResult sys_wait4(const SyscallArgs& args) {
  const auto pid = int_argument(args, 0);
  const UserAddr status = address_argument(args, 1);
  const int options = int_argument(args, 2);
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) != 0)
    return fail(Errno::kInval);
  if (pid == INT32_MIN) return fail(Errno::kSrch);
  WaitRequest request{.options = options | WEXITED, .process = {}};
  if (pid > 0) {
    request.which = WaitRequest::Which::kProcess;
    request.id = pid;
  } else if (pid != -1) {
    request.which = WaitRequest::Which::kGroup;
    request.id = pid == 0 ? current_group() : -pid;
  }
  WaitEvent event;
  QUIRE_CHECK(wait_for_event(request, event));
  if (event.pid == 0) return 0;
  if (status != 0) QUIRE_CHECK(put_user(status, event.status));
  QUIRE_CHECK(put_usage(address_argument(args, 3), event.used));
  return event.pid;
}

SyscallResult sys_waitid(const SyscallArgs& args) {
  const int which = int_argument(args, 0);
  const auto id = int_argument(args, 1);
  const UserAddr to = address_argument(args, 2);
  const int options = int_argument(args, 3);
  constexpr int kEvents = WEXITED | WSTOPPED | WCONTINUED;
  if ((options & ~(WNOHANG | WNOWAIT | kEvents | __WNOTHREAD | __WCLONE | __WALL)) != 0 ||
      (options & kEvents) == 0) {
    return fail(Errno::kInval);
  }
  WaitRequest request{.id = id, .options = options, .process = {}};
  switch (which) {
    case P_ALL:
      break;
    case P_PID:
      if (id <= 0) return fail(Errno::kInval);
      request.which = WaitRequest::Which::kProcess;
      break;
    case P_PGID:
      if (id < 0) return fail(Errno::kInval);
      request.which = WaitRequest::Which::kGroup;
      if (id == 0) request.id = current_group();
      break;
    case P_PIDFD: {
      if (id < 0) return fail(Errno::kInval);
      bool waits = true;
      QUIRE_TRY(request.process, process_of_file(id, waits));
      request.which = WaitRequest::Which::kThis;
      if (!waits) request.options |= WNOHANG;
      break;
    }
    default:
      return fail(Errno::kInval);
  }
  WaitEvent event;
  QUIRE_CHECK(wait_for_event(request, event));
  // A pidfd that does not block says so (Linux v6.12 kernel/exit.c:kernel_waitid_prepare()).
  if (event.pid == 0 && request.options != options) return fail(Errno::kAgain);
  if (event.pid != 0) QUIRE_CHECK(put_usage(address_argument(args, 4), event.used));
  if (to == 0) return 0;
  // Only these fields are written (Linux v6.12 kernel/exit.c:SYSCALL_DEFINE5(waitid)).
  struct ChildReport {
    std::int32_t signal, error, code, padding;
    Pid pid;
    std::uint32_t uid;
    std::int32_t status;
  };
  ChildReport report{};
  if (event.pid != 0) {
    report.signal = SIGCHLD;
    report.code = event.code;
    report.pid = event.pid;
    report.uid = event.uid;
    report.status = event.code == CLD_EXITED      ? event.status >> 8
                    : event.code == CLD_KILLED    ? signal_of_status(event.status)
                    : event.code == CLD_CONTINUED ? SIGCONT
                                                  : event.status >> 8;
  }
  QUIRE_CHECK(copy_to_user(to, &report, sizeof report));
  return 0;
}

}  // namespace quire::kernel
