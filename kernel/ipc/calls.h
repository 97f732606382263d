// The calls of this area that wait for events, and and those that make files for it: the handlers
// ipc_syscalls() lists.
#pragma once

#include "syscall/syscall.h"

namespace quire::kernel {

SyscallResult sys_poll(const SyscallArgs& args);
SyscallResult sys_ppoll(const SyscallArgs& args);
SyscallResult sys_select(const SyscallArgs& args);
SyscallResult sys_pselect6(const SyscallArgs& args);
SyscallResult sys_pipe(const SyscallArgs& args);
SyscallResult sys_pipe2(const SyscallArgs& args);
SyscallResult sys_eventfd(const SyscallArgs& args);
SyscallResult sys_eventfd2(const SyscallArgs& args);
SyscallResult sys_splice(const SyscallArgs& args);
SyscallResult sys_tee(const SyscallArgs& args);
SyscallResult sys_vmsplice(const SyscallArgs& args);
SyscallResult sys_epoll_create(const SyscallArgs& args);
SyscallResult sys_epoll_create1(const SyscallArgs& args);
SyscallResult sys_epoll_ctl(const SyscallArgs& args);
SyscallResult sys_epoll_wait(const SyscallArgs& args);
SyscallResult sys_epoll_pwait(const SyscallArgs& args);
SyscallResult sys_epoll_pwait2(const SyscallArgs& args);
SyscallResult sys_timerfd_create(const SyscallArgs& args);
SyscallResult sys_timerfd_settime(const SyscallArgs& args);
SyscallResult sys_timerfd_gettime(const SyscallArgs& args);
SyscallResult sys_inotify_init(const SyscallArgs& args);
SyscallResult sys_inotify_init1(const SyscallArgs& args);
SyscallResult sys_inotify_add_watch(const SyscallArgs& args);
SyscallResult sys_inotify_rm_watch(const SyscallArgs& args);
SyscallResult sys_shmget(const SyscallArgs& args);
SyscallResult sys_shmat(const SyscallArgs& args);
SyscallResult sys_shmdt(const SyscallArgs& args);
SyscallResult sys_shmctl(const SyscallArgs& args);
SyscallResult sys_semget(const SyscallArgs& args);
SyscallResult sys_semop(const SyscallArgs& args);
SyscallResult sys_semtimedop(const SyscallArgs& args);
SyscallResult sys_semctl(const SyscallArgs& args);
SyscallResult sys_msgget(const SyscallArgs& args);
SyscallResult sys_msgsnd(const SyscallArgs& args);
SyscallResult sys_msgrcv(const SyscallArgs& args);
SyscallResult sys_msgctl(const SyscallArgs& args);

}  // namespace quire::kernel
