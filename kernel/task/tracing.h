// Tracing of tasks by others (ptrace(2); docs/decisions/0018-ptrace.md).
//
// A Tracing is what a tracer holds of one task: made before the locks, linked from both, unlinked by whoever ends the tracing, and freed
// without the lock. It outlives its task until the tracer has waited for the end. A TraceStop lies on the stack of the task that stops;
// whoever lets it go on fills in the answer and takes `Task::trace_stop` away under task_lock, and touches the stop no more. Registers of a
// stopped task are read and written in its trap frame under task_lock; its FPU state in the stop's copy, which the task takes over itself.
#pragma once

#include <memory>

#include "task/process.h"

namespace quire::kernel {

/// Tracings that nobody names any more, to be freed without the lock.
class DiscardedTracings {
 public:
  DiscardedTracings() = default;
  DiscardedTracings(const DiscardedTracings&) = delete;
  DiscardedTracings& operator=(const DiscardedTracings&) = delete;
  ~DiscardedTracings() {
    list_.clear_and_dispose([](Tracing* tracing) { delete tracing; });
  }
  void add(Tracing& tracing) { list_.push_back(tracing); }

 private:
  TracingList list_;
};

/// A task that has stopped for its tracer.
struct TraceStop {
  int code = 0;  ///< as wait reports it, without its lowest byte
  SignalInfo info{};
  bool has_info = false;
  std::uint64_t message = 0;         ///< PTRACE_GETEVENTMSG
  bool unreported = true;            ///< wait has not told it yet
  bool listening = false;            ///< PTRACE_LISTEN: stopped, but no stop
  bool passes_signal = false;        ///< before a signal is delivered
  bool is_owed = false;              ///< of the group, or asked for by the tracer
  std::unique_ptr<std::byte[]> fpu;  ///< Thread::save_fpu_frame()
  bool fpu_changed = false;
  int signal = 0;  ///< the answer: what to deliver
};

// Whose tracer is who (trace_link.cc). Locks: task_lock held.

/// Makes `tracer` the tracer of `task`, which has none.
void link_tracing_locked(Task& tracer, Task& task, std::unique_ptr<Tracing> tracing);
/// Ends a tracing; a stopped task goes on with `signal`. Told or reaped is what waited for the tracer.
void end_tracing_locked(Tracing& tracing, int signal, DiscardedTracings& discarded);
/// Lets go all that `tracer` traces, and ends those it wanted to die with it.
void let_tracees_go_locked(Task& tracer, DiscardedTracings& discarded);
/// `task` leaves its process with `status`: its tracer has a zombie to wait for, if it is no leader.
void note_tracee_end_locked(Task& task, int status);
/// `task` is to become its process's leader, and takes over from what was traced of the old one.
void succeed_traced_leader_locked(Task& task, DiscardedTracings& discarded);
/// Takes an ended tracee that its tracer has waited for. Its process goes, or its own parent is told next.
void reap_tracee_locked(Tracing& tracing, DiscardedTracings& discarded);
/// Lets a stopped task go on.
void end_trace_stop_locked(Task& task);
/// The same for all that are stopped in `process`, but for `but`: they are to end.
void end_trace_stops_locked(Process& process, const Task* but);
/// SIGCONT has come to the process of a traced task.
void end_traced_group_stop_locked(Task& task);
/// Clears RFLAGS.TF if a tracer has set it, and `task` is stopped or the current one.
void stop_stepping_locked(Task& task);

// The tracee's side (trace_stop.cc).

/// Stops the current task if its tracer is to hear of what is owed. Locks: task_lock held; let go while it waits.
void stop_as_owed_locked();
/// Shows the tracer a signal that the current task is about to take. Returns whether to take it; `info` may have become another.
/// Locks: as stop_as_owed_locked().
bool pass_signal_locked(SignalInfo& info, std::unique_ptr<QueuedSignal>& node);
/// Stops the current task at PTRACE_EVENT_`event` if it is traced and its tracer wants to know. Pre: within a system call.
void report_event(unsigned event, std::uint64_t message);
/// After an exec by the task that was `old_tid`: PTRACE_EVENT_EXEC, or the SIGTRAP of old.
void report_exec(Pid old_tid);
/// Before a task ends: PTRACE_EVENT_EXIT.
void report_exit(int status);
/// A handler's frame is made, while the current task was stepped: stops at the handler's first instruction.
void report_handler();
/// After a system call that began watched: its stop, or the end of the step over it.
void end_watched_call(TrapFrame& frame);
/// Whether a trap after one instruction is a tracer's that has gone, and is forgotten.
bool is_stale_step(TrapFrame& frame);

/// Whether a program that the current task executes may give it more rights.
bool tracer_lets_gain();

/// Whether the current task, by its ids `uid` and `gid`, may reach into the memory of who has `theirs`. Linux v6.12
/// kernel/ptrace.c:__ptrace_may_access().
[[nodiscard]] bool may_reach_into(const Credentials& theirs, int dumpable, std::uint32_t uid, std::uint32_t gid);

}  // namespace quire::kernel
