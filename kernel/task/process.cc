#include "task/process.h"

#include <algorithm>

#include "sched/thread.h"
#include "task/itimer.h"

namespace quire::kernel {

Process::Process() = default;
Process::~Process() = default;

Task::~Task() = default;

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
