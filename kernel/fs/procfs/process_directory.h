// /proc/PID and what is below it.
//
// Life cycle and locks: as procfs.h says. A directory of a process that has gone stays open and
// lists nothing.
#pragma once

#include "fs/procfs/node.h"

namespace quire::kernel {

/// /proc/PID. Errors: ENOENT.
Result<RefPtr<Inode>> make_process_directory(Pid pid);
/// Its inode number, for directory listings.
std::uint64_t process_directory_number(Pid pid);

}  // namespace quire::kernel
