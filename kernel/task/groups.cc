// Process groups and sessions. Behaviour: man7 setpgid(2), setsid(2), credentials(7); Linux v6.12
// kernel/sys.c.
#include "task/calls.h"
#include "task/signals.h"

namespace quire::kernel {

namespace {

RefPtr<Session> session_of(Process& process) {
  const TaskGuard guard(task_lock);
  return process.group->session;
}

/// What setpgid may not do. Locks: task_lock held. Errors: ESRCH, EPERM, EACCES.
Result<Process*> find_regroupable_locked(Pid pid, const Session& session) {
  Process& self = current_process();
  Process* const process = tree().find_process(pid);
  if (process == nullptr) return fail(Errno::kSrch);
  if (process->parent == &self) {
    if (process->group->session.get() != &session) return fail(Errno::kPerm);
    if (process->has_execed) return fail(Errno::kAcces);
  } else if (process != &self) {
    return fail(Errno::kSrch);
  }
  if (process->group->session->id == pid) return fail(Errno::kPerm);
  return process;
}

/// Calls function(process) for the process with that pid (0: the current one). Errors: ESRCH.
template <typename F>
SyscallResult about_process(Pid pid, F function) {
  const TaskGuard guard(task_lock);
  const Process* const process = pid == 0 ? &current_process() : tree().find_process(pid);
  if (process == nullptr) return fail(Errno::kSrch);
  return function(*process);
}

}  // namespace

SyscallResult sys_setpgid(const SyscallArgs& args) {
  const Pid pid = int_argument(args, 0) == 0 ? current_pid() : int_argument(args, 0);
  const Pid id = int_argument(args, 1) == 0 ? pid : int_argument(args, 1);
  if (id < 0) return fail(Errno::kInval);
  const RefPtr<Session> session = session_of(current_process());
  const RefPtr<ProcessGroup> fresh = id == pid ? make_ref<ProcessGroup>(id, session) : nullptr;
  RefPtr<ProcessGroup> target, left;
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Process* const process, find_regroupable_locked(pid, *session));
  if (ProcessGroup* const group = tree().find_group(id); group != nullptr) {
    target = RefPtr<ProcessGroup>(group);
  } else if (fresh) {
    target = fresh;
  }
  if (!target || target->session != process->group->session) return fail(Errno::kPerm);
  if (target != process->group) left = tree().join_group(*process, target);
  return 0;
}

SyscallResult sys_getpgid(const SyscallArgs& args) {
  return about_process(int_argument(args, 0),
                       [](const Process& process) { return process.group->id; });
}

SyscallResult sys_getpgrp(const SyscallArgs&) { return current_group(); }

SyscallResult sys_getsid(const SyscallArgs& args) {
  return about_process(int_argument(args, 0),
                       [](const Process& process) { return process.group->session->id; });
}

SyscallResult sys_setsid(const SyscallArgs&) {
  Process& self = current_process();
  const RefPtr<ProcessGroup> group = make_ref<ProcessGroup>(self.pid, make_ref<Session>(self.pid));
  RefPtr<ProcessGroup> left;
  const TaskGuard guard(task_lock);
  if (tree().find_group(self.pid) != nullptr) return fail(Errno::kPerm);
  left = tree().join_group(self, group);
  return self.pid;
}

Pid current_group() {
  const TaskGuard guard(task_lock);
  return current_process().group->id;
}

Pid current_session() {
  const TaskGuard guard(task_lock);
  return current_process().group->session->id;
}

bool current_is_session_leader() { return current_session() == current_pid(); }

bool current_group_is_orphaned() {
  const TaskGuard guard(task_lock);
  return is_orphaned_locked(*current_process().group, nullptr);
}

bool group_in_session(Pid group, Pid session) {
  const TaskGuard guard(task_lock);
  const ProcessGroup* const found = tree().find_group(group);
  return found != nullptr && found->session->id == session;
}

Terminal* current_terminal() {
  const TaskGuard guard(task_lock);
  return current_process().group->session->terminal;
}

void set_session_terminal(Terminal* terminal) {
  const TaskGuard guard(task_lock);
  current_process().group->session->terminal = terminal;
}

void forget_session_terminal(Terminal& terminal) {
  const TaskGuard guard(task_lock);
  tree().for_each_process([&terminal](Process& process) {
    if (!process.group) return;
    Session& session = *process.group->session;
    if (session.terminal == &terminal) session.terminal = nullptr;
  });
}

}  // namespace quire::kernel
