// Calls about another process's memory: copies to and from the caller's, and advice.
#pragma once

#include "syscall/syscall.h"

namespace quire::kernel {

SyscallResult sys_process_vm_readv(const SyscallArgs& args);
SyscallResult sys_process_vm_writev(const SyscallArgs& args);
SyscallResult sys_process_madvise(const SyscallArgs& args);

}  // namespace quire::kernel
