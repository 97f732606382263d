#include "task/exit.h"

#include "sched/thread.h"
#include "task/calls.h"
#include "task/futex.h"
#include "task/posix_timers.h"
#include "task/signals.h"
#include "task/tracing.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

void drop_files() {
  Task& task = current();
  RefPtr<FdTable> files;
  RefPtr<FsContext> fs;
  const TaskGuard guard(task_lock);  // let go before the two above close what they hold
  files = std::move(task.files);
  fs = std::move(task.fs);
}

Process& new_parent_for_children_of(const Process& dying) {
  for (Process* p = dying.parent; p != nullptr; p = p->parent) {
    if (p->is_subreaper && p->state == Process::State::kAlive) return *p;
  }
  return *tree().init;
}

/// Whether `process` connects its group to another one of its session through its parent. Locks:
/// task_lock held.
bool is_link_outside(const Process& process) {
  const Process* const parent = process.parent;
  return parent != nullptr && parent->group != process.group &&
         parent->group->session == process.group->session;
}

/// Locks: task_lock held.
void give_children_away(Process& process) {
  if (process.children.empty()) return;
  Process& heir = new_parent_for_children_of(process);
  while (!process.children.empty()) {
    Process& child = process.children.front();
    const bool was_link_outside = is_link_outside(child);
    process.children.pop_front();
    heir.children.push_back(child);
    child.parent = &heir;
    child.exit_signal = SIGCHLD;
    for (Task& task : child.tasks) {
      if (task.parent_death_signal == 0) continue;
      std::unique_ptr<QueuedSignal> none;
      send_locked(child, nullptr, SignalInfo::from_kernel(task.parent_death_signal), none);
    }
    if (was_link_outside) release_orphans_locked(*child.group, nullptr);
    const bool is_told = child.leader_tracing == nullptr;  // else its tracer is first
    if (child.state == Process::State::kZombie && is_told) static_cast<void>(tell_end_locked(child));
  }
  heir.child_events.wake_all();
}

/// Turns the process of the last task into a zombie, or into nothing. Locks: task_lock held.
RefPtr<Process> end_process_of_last_task(Task& task) {
  Process& process = *task.process;
  process.state = Process::State::kZombie;
  process.ending = true;
  process.end_watchers.wake_all();
  process.last_credentials = task.credentials;
  std::copy(std::begin(task.command), std::end(task.command), process.last_command);
  give_children_away(process);
  if (is_link_outside(process)) release_orphans_locked(*process.group, &process);
  if (process.leader_tracing != nullptr) {
    tell_tracer_of_end_locked(*process.leader_tracing, process.end_status);
    return nullptr;
  }
  const bool unwanted = tell_end_locked(process);
  return unwanted ? tree().remove_process(process) : nullptr;
}

/// The last step: from here on nobody finds the task any more.
void leave_process(int status) {
  Task& task = current();
  const RefPtr<Process> process = task.process;
  RefPtr<Process> unwanted;  // dropped without the lock, as all references
  DiscardedTracings discarded;
  Terminal* given_up = nullptr;
  {
    const TaskGuard guard(task_lock);
    let_tracees_go_locked(task, discarded);
    note_tracee_end_locked(task, status);
    if (!process->ending && task.tid == process->pid) process->end_status = status;
    process->ended.add(tally_of(task));
    tree().remove_task(task);
    if (process->tasks.empty()) {
      Session& session = *process->group->session;
      if (session.id == process->pid) given_up = std::exchange(session.terminal, nullptr);
      unwanted = end_process_of_last_task(task);
    } else {
      for (Task& sibling : process->tasks) update_attention_locked(sibling);
      complete_stop_locked(*process);
    }
    process->tasks_changed.wake_all();
  }
  futex_owner_ended(task.tid);
  if (given_up != nullptr) given_up->detach_session();
}

}  // namespace

bool tell_end_locked(Process& zombie) {
  const int signal = signal_of_status(zombie.end_status);
  if (signal != 0) return notify_parent_locked(zombie, CLD_KILLED, signal);
  return notify_parent_locked(zombie, CLD_EXITED, zombie.end_status >> 8);
}

void leave_space(AddressSpace* next) {
  Task& task = current();
  Process& process = *task.process;
  AddressSpace& old = *task.space;
  release_user_locks(task);
  if (next != nullptr) {  // exec: timers are the old program's
    std::unique_ptr<PosixTimers> timers;
    const TaskGuard guard(task_lock);
    timers = std::move(process.posix_timers);
  }
  const std::uint64_t peak = old.usage().rss_peak.raw();
  {
    const TaskGuard guard(task_lock);
    process.ended.peak_rss_pages = std::max(process.ended.peak_rss_pages, peak);
    if (--process.tasks_in_space == 0) process.space = next;
    if (next != nullptr) ++process.tasks_in_space;
  }
  switch_space(next);
  if (task.vfork_event) {
    task.vfork_event->done.store(true, std::memory_order_release);
    task.vfork_event->waiters.wake_all();
    task.vfork_event = nullptr;
  }
  old.release();
  drop_released_files();
}

RefPtr<Process> reap_locked(Process& zombie) {
  if (zombie.parent != nullptr) {
    zombie.parent->children_ended.add(zombie.ended);
    zombie.parent->children_ended.add(zombie.children_ended);
  }
  return tree().remove_process(zombie);
}

void exit_task(int status) {
  report_exit(status);
  if (current().space != nullptr) leave_space(nullptr);
  current().semaphore_undos = nullptr;
  drop_files();
  leave_process(status);
  exit_thread();
}

void exit_process(int status) {
  Process& process = current_process();
  {
    const TaskGuard guard(task_lock);
    end_process_locked(process, status);
    status = process.end_status;
  }
  exit_task(status);
}

SyscallResult sys_exit(const SyscallArgs& args) {
  exit_task(status_of_exit(int_argument(args, 0)));
}

SyscallResult sys_exit_group(const SyscallArgs& args) {
  exit_process(status_of_exit(int_argument(args, 0)));
}

}  // namespace quire::kernel
