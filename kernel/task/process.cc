#include "task/process.h"

#include <algorithm>

#include "sched/thread.h"
#include "sched/wait.h"
#include "task/itimer.h"
#include "task/posix_timers.h"

namespace quire::kernel {

Process::Process() = default;
Process::~Process() = default;

namespace {

/// Tasks that were started and are not gone yet.
constinit std::atomic<unsigned> tasks_started{0};
constinit WaitQueue task_gone;

}  // namespace

Task::~Task() = default;

void Task::on_dead() {
  delete this;
  tasks_started.fetch_sub(1, std::memory_order_release);
  task_gone.wake_all();
}

void start_task(std::unique_ptr<Task> task) {
  tasks_started.fetch_add(1, std::memory_order_relaxed);
  start_thread(*task.release());
}

bool wait_for_last_task(Deadline deadline) {
  const auto is_last = [] { return tasks_started.load(std::memory_order_acquire) == 1; };
  return wait_until(task_gone, is_last, Interruptible::kNo, deadline) == WaitResult::kDone;
}

Task& current() { return static_cast<Task&>(current_thread()); }

Pid current_pid() { return current().process->pid; }
Pid current_tid() { return current().tid; }
FdTable& current_files() { return *current().files; }
FsContext& current_fs() { return *current().fs; }
const Credentials& current_credentials() { return current().credentials->value; }
RestartBlock& current_restart() { return current().restart; }

bool Credentials::in_group(std::uint32_t gid_wanted) const {
  return gid_wanted == fsgid || std::find(groups.begin(), groups.end(), gid_wanted) != groups.end();
}

const Credentials& credentials_of_locked(Process& process) {
  return process.tasks.empty() ? process.last_credentials->value
                               : process.first_task().credentials->value;
}

}  // namespace quire::kernel
