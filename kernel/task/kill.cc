// Sending signals. Behaviour: man7 kill(2), tkill(2), rt_sigqueueinfo(2); Linux v6.12
// kernel/signal.c.
#include <optional>

#include "task/calls.h"
#include "task/signals.h"

namespace quire::kernel {

bool may_signal_locked(Process& target, int signal) {
  const Credentials& own = current_credentials();
  const Credentials& theirs = credentials_of_locked(target);
  if (&target == &current_process() || own.can(CAP_KILL)) return true;
  if (own.euid == theirs.suid || own.euid == theirs.uid || own.uid == theirs.suid ||
      own.uid == theirs.uid)
    return true;
  return signal == SIGCONT && target.group->session == current_process().group->session;
}

namespace {

/// Sends `info`, or only tests if the signal is 0. Locks: task_lock held. Errors: EPERM.
Result<void> send_checked_locked(Process& process, Task* target, const SignalInfo& info,
                                 std::unique_ptr<QueuedSignal>& node) {
  if (!may_signal_locked(process, info.signal)) return fail(Errno::kPerm);
  if (info.signal != 0) send_locked(process, target, info, node);
  return {};
}

/// Sums up a signal sent to many: success if one got it, else the last error.
class Fanout {
 public:
  void add(const Result<void>& result) {
    if (result) {
      sent_ = true;
    } else {
      error_ = result.error();
    }
  }
  [[nodiscard]] SyscallResult result() const {
    if (sent_) return 0;
    return fail(error_);
  }

 private:
  bool sent_ = false;
  Errno error_ = Errno::kSrch;
};

/// Sends to every member of a group. Only the first gets the node of a real-time signal; for the
/// others it is marked as waiting, as Linux does when it has no memory for more.
SyscallResult send_to_group_locked(Pid id, const SignalInfo& info,
                                   std::unique_ptr<QueuedSignal>& node) {
  ProcessGroup* const group = tree().find_group(id);
  if (group == nullptr) return fail(Errno::kSrch);
  Fanout fanout;
  for (Process& member : group->members)
    fanout.add(send_checked_locked(member, nullptr, info, node));
  return fanout.result();
}

SyscallResult send_to_all_locked(const SignalInfo& info, std::unique_ptr<QueuedSignal>& node) {
  Fanout fanout;
  tree().for_each_process([&](Process& process) {
    if (process.kernel_made || &process == &current_process()) return;
    fanout.add(send_checked_locked(process, nullptr, info, node));
  });
  return fanout.result();
}

Result<int> signal_argument(const SyscallArgs& args, unsigned i) {
  const int signal = int_argument(args, i);
  if (signal != 0 && !is_signal(signal)) return fail(Errno::kInval);
  return signal;
}

/// Sends to one task. `process` is not checked if it is not given (tkill). Errors: EINVAL, ESRCH,
/// EPERM.
SyscallResult send_to_task(std::optional<Pid> process, Pid tid, const SignalInfo& info) {
  if (tid <= 0 || (process && *process <= 0)) return fail(Errno::kInval);
  std::unique_ptr<QueuedSignal> node = make_node(info.signal);
  const TaskGuard guard(task_lock);
  Task* const task = tree().find_task(tid);
  if (task == nullptr || (process && task->process->pid != *process)) return fail(Errno::kSrch);
  QUIRE_CHECK(send_checked_locked(*task->process, task, info, node));
  return 0;
}

/// siginfo_t of rt_sigqueueinfo: only to oneself may it look as if it came from the kernel or from
/// kill. Errors: EPERM, EFAULT.
Result<SignalInfo> get_info(UserAddr from, int signal, bool is_self) {
  QUIRE_TRY(auto info, get_user<SignalInfo>(from));
  info.signal = signal;
  if ((info.code >= 0 || info.code == SI_TKILL) && !is_self) return fail(Errno::kPerm);
  return info;
}

bool queue_is_full_locked(const PendingSignals& pending) {
  return pending.queued() >= current_process().limits->limit[RLIMIT_SIGPENDING].soft;
}

}  // namespace

SyscallResult sys_kill(const SyscallArgs& args) {
  const Pid pid = int_argument(args, 0);
  QUIRE_TRY(const int signal, signal_argument(args, 1));
  const SignalInfo info = SignalInfo::from_current(signal, SI_USER);
  std::unique_ptr<QueuedSignal> node = make_node(signal);
  const TaskGuard guard(task_lock);
  if (pid == -1) return send_to_all_locked(info, node);
  if (pid == INT32_MIN) return fail(Errno::kSrch);
  if (pid <= 0)
    return send_to_group_locked(pid == 0 ? current_process().group->id : -pid, info, node);
  Process* process = tree().find_process(pid);
  if (process == nullptr) {
    // Linux finds a process by any of its tasks' numbers.
    Task* const task = tree().find_task(pid);
    if (task == nullptr) return fail(Errno::kSrch);
    process = task->process.get();
  }
  QUIRE_CHECK(send_checked_locked(*process, nullptr, info, node));
  return 0;
}

SyscallResult sys_tkill(const SyscallArgs& args) {
  QUIRE_TRY(const int signal, signal_argument(args, 1));
  return send_to_task({}, int_argument(args, 0), SignalInfo::from_current(signal, SI_TKILL));
}

SyscallResult sys_tgkill(const SyscallArgs& args) {
  QUIRE_TRY(const int signal, signal_argument(args, 2));
  return send_to_task(int_argument(args, 0), int_argument(args, 1),
                      SignalInfo::from_current(signal, SI_TKILL));
}

SyscallResult sys_rt_sigqueueinfo(const SyscallArgs& args) {
  const Pid pid = int_argument(args, 0);
  QUIRE_TRY(const int signal, signal_argument(args, 1));
  QUIRE_TRY(const SignalInfo info,
            get_info(address_argument(args, 2), signal, pid == current_pid()));
  std::unique_ptr<QueuedSignal> node = make_node(signal);
  const TaskGuard guard(task_lock);
  Process* const process = tree().find_process(pid);
  if (process == nullptr) return fail(Errno::kSrch);
  if (signal >= kFirstRealtime && queue_is_full_locked(process->pending))
    return fail(Errno::kAgain);
  QUIRE_CHECK(send_checked_locked(*process, nullptr, info, node));
  return 0;
}

SyscallResult sys_rt_tgsigqueueinfo(const SyscallArgs& args) {
  const Pid pid = int_argument(args, 0);
  const Pid tid = int_argument(args, 1);
  QUIRE_TRY(const int signal, signal_argument(args, 2));
  QUIRE_TRY(const SignalInfo info,
            get_info(address_argument(args, 3), signal, pid == current_pid()));
  return send_to_task(pid, tid, info);
}

Result<void> signal_group(Pid group, int signal) {
  std::unique_ptr<QueuedSignal> none;
  const TaskGuard guard(task_lock);
  ProcessGroup* const found = tree().find_group(group);
  if (found == nullptr) return fail(Errno::kSrch);
  for (Process& member : found->members)
    send_locked(member, nullptr, SignalInfo::from_kernel(signal), none);
  return {};
}

void signal_current(int signal) {
  Task& task = current();
  const SignalInfo info = SignalInfo::from_current(signal, SI_USER);
  std::unique_ptr<QueuedSignal> none;
  const TaskGuard guard(task_lock);
  send_locked(*task.process, &task, info, none);
}

bool current_ignores(int signal) {
  const Task& task = current();
  const TaskGuard guard(task_lock);
  return (task.blocked & signal_bit(signal)) != 0 ||
         task.process->actions->action[signal - 1].handler == kIgnoreHandler;
}

bool signal_pending() { return current().attention.load(std::memory_order_acquire); }

}  // namespace quire::kernel
