// pidfds: a process as a file (task/process_file.cc).
#pragma once

#include "task/process.h"

namespace quire::kernel {

/// A new open file that stands for `process`, with PIDFD_* flags.
RefPtr<File> make_process_file(RefPtr<Process> process, std::uint32_t flags);
/// The process behind a descriptor of the current one; `waits` tells whether it is in blocking mode. Errors: EBADF.
Result<RefPtr<Process>> process_of_file(int fd, bool& waits);

/// The memory of the process behind a descriptor, if the caller may read it. Errors: EBADF, ESRCH, EACCES.
Result<SpaceUser> space_of_file(int fd);

}  // namespace quire::kernel
