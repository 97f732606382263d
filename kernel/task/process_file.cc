// pidfds. Behaviour: man7 pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2); Linux v6.12 kernel/pid.c, kernel/signal.c, fs/pidfs.c.
#include "task/process_file.h"

#include <linux/fcntl.h>
#include <linux/poll.h>

#include "fs/dentry.h"
#include "fs/syscalls/common.h"
#include "ipc/anonymous_inode.h"
#include "task/calls.h"
#include "task/signals.h"
#include "task/tracing.h"

namespace quire::kernel {

namespace {

constexpr std::uint32_t kNonblock = O_NONBLOCK;  // PIDFD_NONBLOCK

class ProcessFile final : public File {
 public:
  ProcessFile(RefPtr<Process> its_process, std::uint32_t creation_flags) : process(std::move(its_process)) {
    const Credentials& owner = current_credentials();
    inode = make_ref<AnonymousInode>(0600U, owner.fsuid, owner.fsgid);
    flags = O_RDWR | (creation_flags & kNonblock);
  }
  PollMask poll(Listener* listener) override {
    if (listener != nullptr) listener->add(process->end_watchers);
    const TaskGuard guard(task_lock);
    return process->state == Process::State::kAlive ? 0 : POLLIN | POLLRDNORM;
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  [[nodiscard]] FileKind kind() const override { return FileKind::kProcess; }
  [[nodiscard]] std::string anonymous_name() const override { return "anon_inode:[pidfd]"; }

  const RefPtr<Process> process;
};

/// siginfo_t a program gave: as kernel/signal.c's do_pidfd_send_signal() takes it. Errors: EFAULT, EINVAL, EPERM.
Result<SignalInfo> info_argument(UserAddr from, int signal, bool is_self) {
  if (from == 0) return SignalInfo::from_current(signal, SI_USER);
  QUIRE_TRY(const auto info, get_user<SignalInfo>(from));
  if (info.signal != signal) return fail(Errno::kInval);
  if ((info.code >= 0 || info.code == SI_TKILL) && !is_self) return fail(Errno::kPerm);
  return info;
}

/// The process that a pidfd or a directory /proc/PID is about, as Linux v6.12 kernel/signal.c:pidfd_to_pid() has it. Errors: EBADF, ESRCH.
Result<RefPtr<Process>> process_to_signal(std::uint64_t fd) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(fd));
  if (file->kind() == FileKind::kProcess) return static_cast<ProcessFile&>(*file).process;
  const std::optional<ProcessBirth> birth = file->inode ? file->inode->process() : std::nullopt;
  if (!birth) return fail(Errno::kBadF);
  const TaskGuard guard(task_lock);
  Process* const process = tree().find_process(birth->pid);
  if (process == nullptr || process->start_ns != birth->start_ns) return fail(Errno::kSrch);
  return RefPtr<Process>(process);
}

/// Whether the current process may read the memory of `process`. Locks: task_lock held.
bool may_read_locked(Process& process) {
  const Credentials& own = current_credentials();
  return &process == &current_process() || may_reach_into(credentials_of_locked(process), process.dumpable, own.fsuid, own.fsgid);
}

/// The descriptor table of a process whose memory the current one might read. Locks: task_lock held. Errors: ESRCH, EPERM.
Result<RefPtr<FdTable>> files_of_locked(Process& process) {
  if (process.tasks.empty() || !process.first_task().files) return fail(Errno::kSrch);
  if (!may_read_locked(process)) return fail(Errno::kPerm);
  return process.first_task().files;
}

}  // namespace

RefPtr<File> make_process_file(RefPtr<Process> process, std::uint32_t flags) {
  return make_ref<ProcessFile>(std::move(process), flags);
}

Result<RefPtr<Process>> process_of_file(int fd, bool& waits) {
  QUIRE_TRY(const RefPtr<File> file, current_files().get(fd));
  if (file->kind() != FileKind::kProcess) return fail(Errno::kBadF);
  waits = !file->nonblocking();
  return static_cast<ProcessFile&>(*file).process;
}

Result<SpaceUser> space_of_file(int fd) {
  bool waits = false;
  QUIRE_TRY(const RefPtr<Process> process, process_of_file(fd, waits));
  const TaskGuard guard(task_lock);
  if (process->space == nullptr) return fail(Errno::kSrch);
  if (!may_read_locked(*process)) return fail(Errno::kAcces);
  process->space->acquire();
  return SpaceUser(process->space);
}

SyscallResult sys_pidfd_open(const SyscallArgs& args) {
  const Pid pid = int_argument(args, 0);
  const std::uint32_t flags = uint_argument(args, 1);
  if ((flags & ~kNonblock) != 0 || pid <= 0) return fail(Errno::kInval);
  RefPtr<Process> process;
  {
    const TaskGuard guard(task_lock);
    process = RefPtr<Process>(tree().find_process(pid));
    // The number of a thread that does not lead its process is not a process's.
    if (!process) return fail(tree().find_task(pid) != nullptr ? Errno::kInval : Errno::kSrch);
  }
  QUIRE_TRY(const int fd, current_files().install(make_process_file(std::move(process), flags), 0, true));
  return fd;
}

SyscallResult sys_pidfd_send_signal(const SyscallArgs& args) {
  const int signal = int_argument(args, 1);
  if (uint_argument(args, 3) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<Process> process, process_to_signal(args.a[0]));
  QUIRE_TRY(const SignalInfo info, info_argument(address_argument(args, 2), signal, process.get() == &current_process()));
  if (signal != 0 && !is_signal(signal)) return fail(Errno::kInval);
  std::unique_ptr<QueuedSignal> node = make_node(signal);
  const TaskGuard guard(task_lock);
  if (process->state == Process::State::kReaped) return fail(Errno::kSrch);
  if (!may_signal_locked(*process, signal)) return fail(Errno::kPerm);
  if (signal != 0) send_locked(*process, nullptr, info, node);
  return 0;
}

SyscallResult sys_pidfd_getfd(const SyscallArgs& args) {
  if (uint_argument(args, 2) != 0) return fail(Errno::kInval);
  bool waits = false;
  QUIRE_TRY(const RefPtr<Process> process, process_of_file(int_argument(args, 0), waits));
  RefPtr<FdTable> files;
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(files, files_of_locked(*process));
  }
  QUIRE_TRY(RefPtr<File> file, files->get(int_argument(args, 1)));
  QUIRE_TRY(const int fd, current_files().install(std::move(file), 0, true));
  return fd;
}

}  // namespace quire::kernel
