#include "quire/base/assert.h"
#include "task/process.h"

namespace quire::kernel {

constinit IrqSpinLock task_lock;

namespace {
/// Linux's pid_max of a small machine (Linux v6.12 include/linux/threads.h: PID_MAX_DEFAULT), and
/// the first number used again after it.
constexpr Pid kLastPid = 32767;
constexpr Pid kFirstReusedPid = 300;
}  // namespace

Tree& tree() {
  static Tree* const the_tree = new Tree;
  return *the_tree;
}

Pid Tree::allocate_id() {
  for (;;) {
    last_id_ = last_id_ == kLastPid ? kFirstReusedPid : last_id_ + 1;
    const bool used =
        tasks_.find(last_id_) != tasks_.end() || processes_.find(last_id_) != processes_.end() ||
        ended_threads_.find(last_id_) != ended_threads_.end() ||
        groups_.find(last_id_) != groups_.end() || sessions_.find(last_id_) != sessions_.end();
    if (!used) return last_id_;
  }
}

Task* Tree::find_task(Pid tid) {
  const auto i = tasks_.find(tid);
  return i == tasks_.end() ? nullptr : &*i;
}

Process* Tree::find_process(Pid pid) {
  const auto i = processes_.find(pid);
  return i == processes_.end() ? nullptr : &*i;
}

ProcessGroup* Tree::find_group(Pid id) {
  const auto i = groups_.find(id);
  return i == groups_.end() ? nullptr : &*i;
}

void Tree::add_task(Process& process, Task& task) {
  tasks_.insert(task);
  process.tasks.push_back(task);
  ++process.task_count;
  ++task_count_;
}

void Tree::remove_task(Task& task) {
  Process& process = *task.process;
  tasks_.erase(tasks_.iterator_to(task));
  process.tasks.erase(process.tasks.iterator_to(task));
  --process.task_count;
  --task_count_;
}

void Tree::make_leader(Task& task) {
  tasks_.erase(tasks_.iterator_to(task));
  task.tid = task.process->pid;
  tasks_.insert(task);
}

void Tree::add_process(Process& process, Process* parent) {
  process.ref();
  processes_.insert(process);
  process.parent = parent;
  if (parent != nullptr) parent->children.push_back(process);
}

RefPtr<Process> Tree::remove_process(Process& process) {
  QUIRE_ASSERT(process.state == Process::State::kZombie, "only a zombie is reaped");
  process.state = Process::State::kReaped;
  processes_.erase(processes_.iterator_to(process));
  if (process.parent != nullptr)
    process.parent->children.erase(process.parent->children.iterator_to(process));
  process.parent = nullptr;
  leave_group(process);
  return adopt_ref(&process);
}

RefPtr<ProcessGroup> Tree::join_group(Process& process, const RefPtr<ProcessGroup>& group) {
  if (process.group) leave_group(process);
  if (group->members.empty()) {
    groups_.insert(*group);
    Session& session = *group->session;
    if (session.groups++ == 0) sessions_.insert(session);
  }
  group->members.push_back(process);
  RefPtr<ProcessGroup> left = std::move(process.group);
  process.group = group;
  return left;
}

void Tree::leave_group(Process& process) {
  ProcessGroup& group = *process.group;
  group.members.erase(group.members.iterator_to(process));
  if (!group.members.empty()) return;
  groups_.erase(groups_.iterator_to(group));
  Session& session = *group.session;
  if (--session.groups == 0) sessions_.erase(sessions_.iterator_to(session));
}

void ResourceTally::add(const ResourceTally& other) {
  user_ns += other.user_ns;
  kernel_ns += other.kernel_ns;
  minor_faults += other.minor_faults;
  major_faults += other.major_faults;
  voluntary_switches += other.voluntary_switches;
  involuntary_switches += other.involuntary_switches;
  if (other.peak_rss_pages > peak_rss_pages) peak_rss_pages = other.peak_rss_pages;
}

}  // namespace quire::kernel
