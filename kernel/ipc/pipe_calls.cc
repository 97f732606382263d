// pipe(2), pipe2(2), and the list of this area's calls.
#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <array>

#include "ipc/calls.h"
#include "ipc/pipe.h"
#include "mm/uaccess.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

Result<std::int64_t> make_pipe(UserAddr address, std::uint32_t flags) {
  if ((flags & ~std::uint32_t{O_CLOEXEC | O_NONBLOCK}) != 0) return fail(Errno::kInval);
  const Credentials& owner = current_credentials();
  FdTable& files = current_files();
  const bool close_on_exec = (flags & O_CLOEXEC) != 0;
  const RefPtr<Pipe> pipe = make_ref<Pipe>(owner.fsuid, owner.fsgid);
  const std::uint32_t mode = flags & O_NONBLOCK;
  std::array<int, 2> fds{};
  QUIRE_TRY(fds[0], files.install(pipe->open_new_end(O_RDONLY | mode), 0, close_on_exec));
  const auto writer = files.install(pipe->open_new_end(O_WRONLY | mode), 0, close_on_exec);
  if (!writer) {
    (void)files.close(fds[0]);
    return fail(writer.error());
  }
  fds[1] = *writer;
  if (auto told = put_user(address, fds); !told) {
    for (const int fd : fds) (void)files.close(fd);
    return fail(told.error());
  }
  return 0;
}

constexpr SyscallEntry kCalls[] = {
    {__NR_pipe, "pipe", sys_pipe},          {__NR_pipe2, "pipe2", sys_pipe2},
    {__NR_poll, "poll", sys_poll},          {__NR_ppoll, "ppoll", sys_ppoll},
    {__NR_select, "select", sys_select},    {__NR_pselect6, "pselect6", sys_pselect6},
    {__NR_eventfd, "eventfd", sys_eventfd}, {__NR_eventfd2, "eventfd2", sys_eventfd2},
    {__NR_splice, "splice", sys_splice},    {__NR_tee, "tee", sys_tee},
    {__NR_vmsplice, "vmsplice", sys_vmsplice},
    {__NR_epoll_create, "epoll_create", sys_epoll_create},
    {__NR_epoll_create1, "epoll_create1", sys_epoll_create1},
    {__NR_epoll_ctl, "epoll_ctl", sys_epoll_ctl},
    {__NR_epoll_wait, "epoll_wait", sys_epoll_wait},
    {__NR_epoll_pwait, "epoll_pwait", sys_epoll_pwait},
    {__NR_epoll_pwait2, "epoll_pwait2", sys_epoll_pwait2},
    {__NR_timerfd_create, "timerfd_create", sys_timerfd_create},
    {__NR_timerfd_settime, "timerfd_settime", sys_timerfd_settime},
    {__NR_timerfd_gettime, "timerfd_gettime", sys_timerfd_gettime},
    {__NR_inotify_init, "inotify_init", sys_inotify_init},
    {__NR_inotify_init1, "inotify_init1", sys_inotify_init1},
    {__NR_inotify_add_watch, "inotify_add_watch", sys_inotify_add_watch},
    {__NR_inotify_rm_watch, "inotify_rm_watch", sys_inotify_rm_watch},
    {__NR_shmget, "shmget", sys_shmget},    {__NR_shmat, "shmat", sys_shmat},
    {__NR_shmdt, "shmdt", sys_shmdt},       {__NR_shmctl, "shmctl", sys_shmctl},
    {__NR_semget, "semget", sys_semget},    {__NR_semop, "semop", sys_semop},
    {__NR_semtimedop, "semtimedop", sys_semtimedop}, {__NR_semctl, "semctl", sys_semctl},
    {__NR_msgget, "msgget", sys_msgget},    {__NR_msgsnd, "msgsnd", sys_msgsnd},
    {__NR_msgrcv, "msgrcv", sys_msgrcv},    {__NR_msgctl, "msgctl", sys_msgctl},
};

}  // namespace

SyscallResult sys_pipe(const SyscallArgs& args) { return make_pipe(args.a[0], 0); }
SyscallResult sys_pipe2(const SyscallArgs& args) {
  return make_pipe(args.a[0], static_cast<std::uint32_t>(args.a[1]));
}

std::span<const SyscallEntry> ipc_syscalls() { return kCalls; }

}  // namespace quire::kernel
