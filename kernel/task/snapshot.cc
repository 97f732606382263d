// What procfs shows of processes: taken under the lock as values and counted references, so that
// showing may sleep.
#include <cstring>

#include "sched/scheduler.h"
#include "task/process.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

/// Linux's letter for what a process does. Locks: task_lock held.
char state_letter_locked(Process& process) {
  if (process.tasks.empty()) return 'Z';
  if (process.first_task().trace_stop != nullptr) return 't';
  if (process.stop == Process::Stop::kStopped && process.leader_tracing == nullptr) return 'T';
  for (const Task& task : process.tasks) {
    if (task.internals->state.load(std::memory_order_relaxed) == ThreadState::kRunnable) return 'R';
  }
  return 'S';
}

/// Locks: task_lock held.
void copy_signals_locked(ProcessSnapshot& to, Process& process) {
  to.shared_pending = process.pending.set();
  if (!process.tasks.empty()) {
    to.pending = process.first_task().pending.set();
    to.blocked = process.first_task().blocked;
  }
  for (int signal = 1; signal <= kSignalCount; ++signal) {
    constexpr UserAddr kDefault = 0, kIgnore = 1;
    const UserAddr handler = process.actions->action[signal - 1].handler;
    if (handler == kIgnore) to.ignored |= signal_bit(signal);
    if (handler != kIgnore && handler != kDefault) to.caught |= signal_bit(signal);
  }
}

/// Locks: task_lock held.
void copy_usage_locked(ProcessSnapshot& to, Process& process) {
  const ResourceTally own = tally_of_locked(process);
  const ResourceTally& children = process.children_ended;
  to.start_ns = process.start_ns;
  to.user_ns = own.user_ns;
  to.kernel_ns = own.kernel_ns;
  to.minor_faults = own.minor_faults;
  to.major_faults = own.major_faults;
  to.voluntary_switches = own.voluntary_switches;
  to.involuntary_switches = own.involuntary_switches;
  to.children_user_ns = children.user_ns;
  to.children_kernel_ns = children.kernel_ns;
  to.children_minor_faults = children.minor_faults;
  to.children_major_faults = children.major_faults;
}

}  // namespace

ProcessSnapshot::~ProcessSnapshot() {
  if (space != nullptr) space->release();
}

std::vector<Pid> all_pids() {
  std::vector<Pid> pids;
  // The room is made without the lock; processes born meanwhile are for the next look.
  constexpr std::size_t kSpare = 16;
  for (;;) {
    std::size_t count = 0;
    {
      const TaskGuard guard(task_lock);
      tree().for_each_process([&](Process&) { ++count; });
    }
    pids.reserve(count + kSpare);
    const TaskGuard guard(task_lock);
    bool fits = true;
    tree().for_each_process([&](Process& process) {
      if (pids.size() == pids.capacity()) {
        fits = false;
      } else {
        pids.push_back(process.pid);
      }
    });
    if (fits) return pids;
    pids.clear();
  }
}

Result<std::unique_ptr<ProcessSnapshot>> snapshot_process(Pid pid) {
  auto snapshot = std::make_unique<ProcessSnapshot>();
  RefPtr<File> executable;
  RefPtr<SharedCredentials> credentials;
  RefPtr<SharedLimits> limits;
  Terminal* terminal = nullptr;
  constexpr std::size_t kMostTasksShown = 4096;
  std::size_t task_count = 0;
  {
    const TaskGuard guard(task_lock);
    const Process* const process = tree().find_process(pid);
    if (process == nullptr) return fail(Errno::kSrch);
    task_count = process->task_count;
  }
  snapshot->tasks.reserve(std::min(task_count + 1, kMostTasksShown));
  {
    const TaskGuard guard(task_lock);
    Process* const process = tree().find_process(pid);
    if (process == nullptr) return fail(Errno::kSrch);
    snapshot->pid = pid;
    snapshot->parent = process->parent == nullptr ? 0 : process->parent->pid;
    snapshot->group = process->group->id;
    snapshot->session = process->group->session->id;
    terminal = process->group->session->terminal;
    snapshot->state = state_letter_locked(*process);
    if (process->leader_tracing != nullptr) snapshot->tracer = process->leader_tracing->tracer->tid;
    for (const Task& task : process->tasks) {
      if (snapshot->tasks.size() < snapshot->tasks.capacity()) snapshot->tasks.push_back(task.tid);
    }
    char command[sizeof process->last_command];
    if (process->tasks.empty()) {
      credentials = process->last_credentials;
      std::memcpy(command, process->last_command, sizeof command);
    } else {
      const Task& task = process->first_task();
      credentials = task.credentials;
      std::memcpy(command, task.command, sizeof command);
      snapshot->nice = task.nice;
      snapshot->files = task.files;
      snapshot->fs = task.fs;
    }
    snapshot->command = command;  // 15 bytes: no allocation
    executable = process->executable;
    snapshot->auxiliary = process->auxiliary;
    limits = process->limits;
    snapshot->space = process->space;
    if (snapshot->space != nullptr) snapshot->space->acquire();
    copy_signals_locked(*snapshot, *process);
    copy_usage_locked(*snapshot, *process);
  }
  snapshot->credentials = credentials->value;
  for (unsigned i = 0; i < SharedLimits::kCount; ++i) {
    snapshot->limits[i][0] = limits->limit[i].soft;
    snapshot->limits[i][1] = limits->limit[i].hard;
  }
  if (executable && executable->dentry) snapshot->executable = path_of(*executable->dentry);
  if (snapshot->fs) snapshot->umask = snapshot->fs->umask;
  if (terminal != nullptr) {
    snapshot->tty_device = terminal->device();
    snapshot->tty_group = terminal->foreground_group();
  }
  return snapshot;
}

}  // namespace quire::kernel
