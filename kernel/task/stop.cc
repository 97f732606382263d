#include "sched/wait.h"
#include "task/signals.h"

namespace quire::kernel {

void complete_stop_locked(Process& process) {
  if (process.stop != Process::Stop::kStopping || process.tasks.empty()) return;
  for (const Task& task : process.tasks) {
    if (!task.stopped) return;
  }
  process.stop = Process::Stop::kStopped;
  process.stop_unreported = true;
  process.continue_unreported = false;
  // A tracer that is the parent, too, has been told by its own way.
  const Tracing* const tracing = process.leader_tracing;
  if (tracing == nullptr || tracing->is_by_stranger()) notify_parent_locked(process, CLD_STOPPED, process.stop_signal);
}

void stop_here_locked() {
  Task& task = current();
  Process& process = *task.process;
  task.stopped = true;
  complete_stop_locked(process);
  task_lock.unlock();
  {
    Sleeper sleeper;
    sleeper.add(process.resume);
    const auto may_go_on = [&] {
      const TaskGuard guard(task_lock);
      return process.stop == Process::Stop::kRunning || process.ending || process.execing || task.tracing != nullptr;
    };
    while (!may_go_on()) sleeper.sleep(Interruptible::kNo);
  }
  task_lock.lock();
  task.stopped = false;
}

bool is_orphaned_locked(const ProcessGroup& group, const Process* but) {
  for (const Process& member : group.members) {
    const Process* const parent = member.parent;
    if (&member == but || member.state != Process::State::kAlive || parent == nullptr ||
        parent->kernel_made)
      continue;
    if (parent->group.get() != &group && parent->group->session == group.session) return false;
  }
  return true;
}

void release_orphans_locked(ProcessGroup& group, const Process* but) {
  bool has_stopped = false;
  for (const Process& member : group.members) has_stopped |= member.stop == Process::Stop::kStopped;
  if (!has_stopped || !is_orphaned_locked(group, but)) return;
  for (const int signal : {SIGHUP, SIGCONT}) {
    for (Process& member : group.members) send_locked(member, SignalInfo::from_kernel(signal));
  }
}

}  // namespace quire::kernel
