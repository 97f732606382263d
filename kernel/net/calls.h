// The system calls of sockets: the handlers net_syscalls() lists, and what they share.
#pragma once

#include "mm/uaccess.h"
#include "net/socket.h"
#include "syscall/syscall.h"

namespace quire::kernel {

/// Errors: EBADF, ENOTSOCK.
Result<RefPtr<Socket>> socket_argument(std::uint64_t fd);
/// An address from user memory. Errors: EINVAL, EFAULT.
Result<RawAddress> address_from_user(UserAddr from, std::uint64_t size);
/// Writes an address and its whole size, where the program said how much room there is. Nothing if `to` is 0. Errors: EINVAL, EFAULT.
Result<void> address_to_user(const RawAddress& address, UserAddr to, UserAddr size_at);

SyscallResult sys_sendto(const SyscallArgs& args);
SyscallResult sys_recvfrom(const SyscallArgs& args);
SyscallResult sys_sendmsg(const SyscallArgs& args);
SyscallResult sys_recvmsg(const SyscallArgs& args);
SyscallResult sys_sendmmsg(const SyscallArgs& args);
SyscallResult sys_recvmmsg(const SyscallArgs& args);

}  // namespace quire::kernel
