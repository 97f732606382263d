// Whose tracer is who. Linux v6.12 kernel/ptrace.c:__ptrace_link(), __ptrace_unlink(), __ptrace_detach(), exit_ptrace().
#include <linux/ptrace.h>

#include "arch/registers.h"
#include "arch/trap_frame.h"
#include "task/exit.h"
#include "task/signals.h"
#include "task/tracing.h"

namespace quire::kernel {

Tracing::Tracing(const TraceState& initial, bool may_gain) : state(initial), tracee_may_gain(may_gain) {}
Tracing::~Tracing() = default;

bool Tracing::is_of_leader() const { return process->leader_tracing == this; }

bool Tracing::has_ended() const { return is_of_leader() ? process->state == Process::State::kZombie : task == nullptr; }

bool Tracing::is_by_stranger() const { return tracer->process.get() != process->parent; }

namespace {

/// A number is only kept for a thread that its tracer has to hear of.
bool keeps_id(const Tracing& tracing) { return tracing.task == nullptr && !tracing.is_of_leader(); }

/// Neither side names it any more.
void unlink(Tracing& tracing, DiscardedTracings& discarded) {
  if (keeps_id(tracing)) tree().give_up_id(tracing);
  if (tracing.is_of_leader()) tracing.process->leader_tracing = nullptr;
  if (tracing.task != nullptr) tracing.task->tracing = nullptr;
  tracing.tracer->tracees.erase(tracing.tracer->tracees.iterator_to(tracing));
  discarded.add(tracing);
}

/// What a task that nobody traces any more does: it joins a stop of its group, or goes on.
void free_task(Task& task, int signal) {
  stop_stepping_locked(task);
  if (task.trace_stop != nullptr) {
    task.trace_stop->signal = signal;
    end_trace_stop_locked(task);
  }
  update_attention_locked(task);
}

/// A zombie that its tracer has done with: its parent is next to hear of it, unless that was the tracer and has heard, or nobody cares.
enum class Heard : std::uint8_t { kByTracer, kByNobody };
void pass_on_zombie(Tracing& tracing, Heard heard) {
  Process& zombie = *tracing.process;
  if (!tracing.is_by_stranger()) {
    if (heard == Heard::kByTracer || ignores_children_locked(*zombie.parent)) tracing.reaped = reap_locked(zombie);
  } else if (tell_end_locked(zombie)) {
    tracing.reaped = tree().remove_process(zombie);
  }
}

void end_tracing(Tracing& tracing, Heard heard, int signal, DiscardedTracings& discarded) {
  const bool is_zombie = tracing.is_of_leader() && tracing.has_ended();
  Task* const task = tracing.task;
  unlink(tracing, discarded);
  if (task != nullptr) free_task(*task, signal);
  if (is_zombie) pass_on_zombie(tracing, heard);
}

/// What a stopped task delivers whose tracer has gone: the signal that it stopped for, if nobody has heard of it.
int signal_without_tracer(const Task* task) {
  if (task == nullptr || task->trace_stop == nullptr) return 0;
  const TraceStop& stop = *task->trace_stop;
  return stop.passes_signal && stop.unreported ? stop.code : 0;
}

}  // namespace

void link_tracing_locked(Task& tracer, Task& task, std::unique_ptr<Tracing> tracing) {
  Tracing& link = *tracing.release();
  Process& process = *task.process;
  link.tracer = &tracer;
  link.task = &task;
  link.process = task.process;
  link.tid = task.tid;
  if (task.tid == process.pid) process.leader_tracing = &link;
  if (process.stop != Process::Stop::kRunning) link.state.begin_group_stop(process.stop_signal);
  task.tracing = &link;
  tracer.tracees.push_back(link);
}

void end_tracing_locked(Tracing& tracing, int signal, DiscardedTracings& discarded) {
  end_tracing(tracing, Heard::kByNobody, signal, discarded);
}

void let_tracees_go_locked(Task& tracer, DiscardedTracings& discarded) {
  while (!tracer.tracees.empty()) {
    Tracing& tracing = tracer.tracees.front();
    const bool is_to_die = (tracing.state.options() & PTRACE_O_EXITKILL) != 0 && tracing.task != nullptr;
    if (is_to_die) end_process_locked(*tracing.process, SIGKILL);
    end_tracing_locked(tracing, signal_without_tracer(tracing.task), discarded);
  }
}

void note_tracee_end_locked(Task& task, int status) {
  Tracing* const tracing = task.tracing.exchange(nullptr);
  if (tracing == nullptr) return;
  tracing->task = nullptr;
  if (tracing->is_of_leader()) return;  // the process's end is told
  tracing->end_status = status;
  tracing->used = tally_of(task);
  tree().keep_id(*tracing);
  tell_tracer_of_end_locked(*tracing, status);
}

void succeed_traced_leader_locked(Task& task, DiscardedTracings& discarded) {
  Process& process = *task.process;
  Tracing* const old = process.leader_tracing;
  if (old != nullptr) unlink(*old, discarded);
  Tracing* const own = task.tracing;
  process.leader_tracing = own;
  if (own != nullptr) own->tid = process.pid;
}

void end_traced_group_stop_locked(Task& task) {
  Tracing& tracing = *task.tracing.load();
  tracing.state.end_group_stop();
  task.stopped = false;
  // Who listens is to stop anew, and so tell of it.
  if (task.trace_stop != nullptr && task.trace_stop->listening) end_trace_stop_locked(task);
}

void reap_tracee_locked(Tracing& tracing, DiscardedTracings& discarded) { end_tracing(tracing, Heard::kByTracer, 0, discarded); }

void end_trace_stop_locked(Task& task) {
  task.trace_stop = nullptr;
  task.killed.wake_all();
}

void end_trace_stops_locked(Process& process, const Task* but) {
  for (Task& task : process.tasks) {
    if (task.trace_stop != nullptr && &task != but) end_trace_stop_locked(task);
  }
}

void stop_stepping_locked(Task& task) {
  const bool is_running = &task != &current() && task.trace_stop == nullptr;
  if (!task.tracer_steps || is_running) return;  // who runs finds out at the next trap
  task.tracer_steps = false;
  task.trap_frame().rflags &= ~kFlagTrap;
}

}  // namespace quire::kernel
