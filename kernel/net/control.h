// Control messages: what accompanies bytes, in the form programs give and get it (struct cmsghdr).
#pragma once

#include "mm/uaccess.h"
#include "net/socket.h"

namespace quire::kernel {

/// Control data from user memory. Errors: EINVAL, EFAULT, EBADF, EPERM, ENOBUFS, ETOOMANYREFS.
Result<void> read_control(const Socket& socket, UserAddr from, std::uint64_t size, Ancillary& into);
/// Writes what came with a message, as far as it fits in `size` bytes, and returns how many were written. Files become descriptors, with
/// close-on-exec if `flags` has MSG_CMSG_CLOEXEC. MSG_CTRUNC is added to the message's flags if something did not fit. Errors: EFAULT.
Result<std::uint64_t> write_control(const Socket& socket, UserAddr to, std::uint64_t size, std::uint32_t flags, IncomingMessage& message);

}  // namespace quire::kernel
