// userfaultfd(2): the call that makes the file.
#pragma once

#include "syscall/syscall.h"

namespace quire::kernel {

SyscallResult sys_userfaultfd(const SyscallArgs& args);

}  // namespace quire::kernel
