#include <cstring>

#include "task/exit.h"
#include "task/posix_timers.h"
#include "task/signal_file.h"
#include "task/signals.h"
#include "task/tracing.h"

namespace quire::kernel {

namespace {

/// Whether `task` can be the one to take `signal` now.
bool wants(const Task& task, int signal) {
  if ((task.blocked & signal_bit(signal)) != 0) return false;
  const bool is_halted = task.tracing != nullptr ? task.trace_stop != nullptr : task.stopped;
  return !is_halted;
}

void offer(Process& process, Task* target, int signal) {
  if (target != nullptr) {
    update_attention_locked(*target);
    return;
  }
  for (Task& task : process.tasks) {
    if (!wants(task, signal)) continue;
    update_attention_locked(task);
    return;
  }
}

void discard_everywhere(Process& process, SignalSet which, SignalChain& nodes) {
  process.pending.discard(which, nodes);
  for (Task& task : process.tasks) task.pending.discard(which, nodes);
}

void resume(Process& process) {
  const Process::Stop was = process.stop;
  if (was == Process::Stop::kRunning) return;
  process.stop = Process::Stop::kRunning;
  process.stop_unreported = false;
  process.resume.wake_all();
  for (Task& task : process.tasks) {
    if (task.tracing != nullptr) end_traced_group_stop_locked(task);
    update_attention_locked(task);
  }
  if (was == Process::Stop::kStopped) {
    process.continue_unreported = true;
    notify_parent_locked(process, CLD_CONTINUED, SIGCONT);
  }
}

}  // namespace

std::unique_ptr<QueuedSignal> make_node(int signal) {
  return std::unique_ptr<QueuedSignal>(signal >= kFirstRealtime ? new QueuedSignal : nullptr);
}

RefPtr<SignalActions> copy_actions(const SignalActions& from) {
  RefPtr<SignalActions> copy = make_ref<SignalActions>();
  const TaskGuard guard(task_lock);
  std::memcpy(copy->action, from.action, sizeof copy->action);
  return copy;
}

void reset_handlers(SignalActions& actions) {
  for (SignalAction& action : actions.action) {
    action = {.handler = action.handler == kIgnoreHandler ? kIgnoreHandler : kDefaultHandler,
              .flags = 0,
              .restorer = 0,
              .mask = 0};
  }
}

bool is_ignored_locked(const Process& process, int signal) {
  const UserAddr handler = process.actions->action[signal - 1].handler;
  return handler == kIgnoreHandler ||
         (handler == kDefaultHandler && (kIgnoredByDefault & signal_bit(signal)) != 0);
}

bool is_to_end_locked(const Task& task) {
  const Process& process = *task.process;
  return process.ending || (process.execing && process.exec_task != &task);
}

bool needs_attention_locked(const Task& task) {
  const Process& process = *task.process;
  const Tracing* const tracing = task.tracing.load(std::memory_order_relaxed);
  const bool is_to_stop = tracing != nullptr ? tracing->state.owes_stop() : process.stop != Process::Stop::kRunning;
  return is_to_end_locked(task) || is_to_stop || ((task.pending.set() | process.pending.set()) & ~task.blocked) != 0;
}

void update_attention_locked(Task& task) {
  const bool wanted = needs_attention_locked(task);
  const bool had = task.attention.exchange(wanted, std::memory_order_acq_rel);
  if (wanted && !had) interrupt_thread(task);
}

void end_process_locked(Process& process, int status) {
  if (process.ending || process.tasks.empty()) return;
  process.ending = true;
  process.end_status = status;
  process.resume.wake_all();
  end_trace_stops_locked(process, nullptr);
  for (Task& task : process.tasks) {
    update_attention_locked(task);
    task.killed.wake_all();
  }
}

void send_locked(Process& process, Task* target, const SignalInfo& info,
                 std::unique_ptr<QueuedSignal>& node) {
  if (process.tasks.empty() || process.kernel_made) return;
  const int signal = info.signal;
  const SignalSet bit = signal_bit(signal);
  if (process.ending) {
    // Some may show their tracers that they end; a second kill ends that, too.
    if (signal == SIGKILL) end_trace_stops_locked(process, nullptr);
    return;
  }
  if (signal == SIGKILL) {
    end_process_locked(process, SIGKILL);
    return;
  }
  SignalChain cancelled;  // standard signals only, so nothing is freed here
  if ((kStopSignals & bit) != 0) {
    discard_everywhere(process, signal_bit(SIGCONT), cancelled);
  } else if (signal == SIGCONT) {
    discard_everywhere(process, kStopSignals, cancelled);
    resume(process);
  }
  // A blocked signal is kept even if it is ignored now: the action may change before it is
  // unblocked (Linux v6.12 kernel/signal.c:sig_task_ignored()).
  const Task& judge = target != nullptr ? *target : process.first_task();
  // A tracer may want to know of it.
  if ((judge.blocked & bit) == 0 && is_ignored_locked(process, signal) && judge.tracing == nullptr) return;
  (target != nullptr ? target->pending : process.pending).add(info, node);
  offer(process, target, signal);
  announce_to_signal_files_locked(signal);
}

void send_locked(Process& process, const SignalInfo& info) {
  std::unique_ptr<QueuedSignal> none;
  send_locked(process, nullptr, info, none);
}

bool take_signal_locked(Task& task, SignalSet wanted, SignalInfo& info,
                        std::unique_ptr<QueuedSignal>& node) {
  Process& process = *task.process;
  for (const SignalSet preferred : {kSynchronous, ~SignalSet{0}}) {
    for (PendingSignals* pending : {&task.pending, &process.pending}) {
      const SignalSet ready = pending->set() & wanted & preferred;
      if (ready == 0) continue;
      info = pending->take(__builtin_ctzll(ready) + 1, node);
      if (info.code == SI_TIMER && process.posix_timers) process.posix_timers->on_taken_locked(info, node);
      return true;
    }
  }
  return false;
}

void set_blocked(SignalSet blocked) {
  Task& task = current();
  Process& process = *task.process;
  const TaskGuard guard(task_lock);
  const SignalSet now_blocked = blocked & ~kUnblockable & ~task.blocked;
  task.blocked = blocked & ~kUnblockable;
  update_attention_locked(task);
  const SignalSet orphaned = process.pending.set() & now_blocked;
  if (orphaned == 0) return;
  for (Task& sibling : process.tasks) {
    if (&sibling != &task && (orphaned & ~sibling.blocked) != 0) update_attention_locked(sibling);
  }
}

void force_signal(const SignalInfo& info) {
  Task& task = current();
  Process& process = *task.process;
  std::unique_ptr<QueuedSignal> none;
  const TaskGuard guard(task_lock);
  SignalAction& action = process.actions->action[info.signal - 1];
  const SignalSet bit = signal_bit(info.signal);
  if ((task.blocked & bit) != 0 || action.handler == kIgnoreHandler) {
    action.handler = kDefaultHandler;
    task.blocked &= ~bit;
  }
  send_locked(process, &task, info, none);
}

void force_segv(int signal) {
  Task& task = current();
  std::unique_ptr<QueuedSignal> none;
  const TaskGuard guard(task_lock);
  SignalAction& action = task.process->actions->action[SIGSEGV - 1];
  if (signal == SIGSEGV) action.handler = kDefaultHandler;
  if ((task.blocked & signal_bit(SIGSEGV)) != 0) {
    task.blocked &= ~signal_bit(SIGSEGV);
    action.handler = kDefaultHandler;
  }
  send_locked(*task.process, &task, SignalInfo::from_kernel(SIGSEGV), none);
}

namespace {

/// SIGCHLD, or another signal, about `child`'s task `tid`. Locks: task_lock held.
void send_child_signal(Process& to, int signal, Process& child, Pid tid, int code, int status) {
  constexpr std::uint64_t kNsPerTick = 10'000'000;  // USER_HZ is 100
  const ResourceTally used = tally_of_locked(child);
  SignalInfo info{};
  info.signal = signal;
  info.code = code;
  info.child = {.pid = tid,
                .uid = credentials_of_locked(child).uid,
                .status = status,
                .padding = 0,
                .user_ticks = static_cast<std::int64_t>(used.user_ns / kNsPerTick),
                .kernel_ticks = static_cast<std::int64_t>(used.kernel_ns / kNsPerTick)};
  send_locked(to, info);
}

const SignalAction& child_action(const Process& process) { return process.actions->action[SIGCHLD - 1]; }

bool wants_stops_of_children(const Process& process) {
  const SignalAction& action = child_action(process);
  return action.handler != kIgnoreHandler && (action.flags & SA_NOCLDSTOP) == 0;
}

}  // namespace

bool ignores_children_locked(const Process& process) {
  const SignalAction& action = child_action(process);
  return !process.kernel_made && (action.handler == kIgnoreHandler || (action.flags & SA_NOCLDWAIT) != 0);
}

bool notify_parent_locked(Process& child, int code, int status) {
  Process* const parent = child.parent;
  if (parent == nullptr) return true;
  const bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
  const int signal = ended ? child.exit_signal : SIGCHLD;
  bool unwanted = false;
  bool silent = signal == 0;
  if (ended && signal == SIGCHLD) {
    unwanted = ignores_children_locked(*parent);
    silent = child_action(*parent).handler == kIgnoreHandler;
  } else if (!ended) {
    silent = !wants_stops_of_children(*parent);
  }
  if (!silent) send_child_signal(*parent, signal, child, child.pid, code, status);
  parent->child_events.wake_all();
  return unwanted;
}

void tell_tracer_of_stop_locked(const Tracing& tracing, int code, int status) {
  Process& process = *tracing.tracer->process;
  if (wants_stops_of_children(process)) send_child_signal(process, SIGCHLD, *tracing.process, tracing.tid, code, status);
  process.child_events.wake_all();
}

void tell_tracer_of_end_locked(const Tracing& tracing, int status) {
  Process& process = *tracing.tracer->process;
  const bool as_parent = tracing.is_of_leader() && !tracing.is_by_stranger();
  const int signal = as_parent ? tracing.process->exit_signal : SIGCHLD;
  const int killer = signal_of_status(status);
  if (signal != 0) {
    send_child_signal(process, signal, *tracing.process, tracing.tid, killer != 0 ? CLD_KILLED : CLD_EXITED,
                      killer != 0 ? killer : status >> 8);
  }
  process.child_events.wake_all();
}

}  // namespace quire::kernel
