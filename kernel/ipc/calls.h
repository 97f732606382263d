// The calls of this area that wait for events, and eventfd's and pipe's: the handlers
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

}  // namespace quire::kernel
