// Advisory locks: flock(2), and fcntl(2)'s record locks of processes and of open files.
//
// Life cycle: a lock belongs to an owner: a descriptor table (record locks of a process: gone when
// the process closes any descriptor of the file, as POSIX wants) or an open file (flock and
// open-file-description locks: gone with it). There are few, in one list. Locks: one mutex over the
// list; whoever waits, waits on one queue and looks again when any lock goes. Not there: mandatory
// locks, leases, and finding deadlocks (EDEADLK). Linux v6.12 fs/locks.c.
#pragma once

#include <cstdint>

#include "fs/vfs.h"

namespace quire::kernel {

/// The fcntl commands F_GETLK … F_OFD_SETLKW with their struct flock at `argument`.
/// Errors: EFAULT, EINVAL, EOVERFLOW, EBADF (file not open for that), EAGAIN, kRestartSys.
Result<std::int64_t> posix_lock_call(File& file, std::uint32_t command, std::uint64_t argument);
/// flock(2). Errors: EINVAL, EAGAIN, kRestartSys.
Result<void> flock_file(File& file, std::uint32_t operation);
/// `table` closes a descriptor of `file`.
void release_process_locks(const FdTable& table, const File& file);
/// `file` goes.
void release_file_locks(const File& file);

}  // namespace quire::kernel
