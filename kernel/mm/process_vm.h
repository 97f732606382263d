// Copies between the caller's memory and another process's.
#pragma once

#include "syscall/syscall.h"

namespace quire::kernel {

SyscallResult sys_process_vm_readv(const SyscallArgs& args);
SyscallResult sys_process_vm_writev(const SyscallArgs& args);

}  // namespace quire::kernel
