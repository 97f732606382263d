// /proc: what the kernel knows, as the text files Linux programs read. Names and formats are
// Linux's (man7 proc(5)).
//
// Life cycle: inodes are made by lookups and know only a process's number and birth; text is made
// from a snapshot when it is read. A file whose process has gone gives ESRCH or end of file as on
// Linux. Everything is read-only; what there is nothing to show for is absent. Locks: none of its
// own but one per open file; snapshots take task_lock and the address space's lock for their
// duration.
#pragma once

#include "fs/vfs.h"

namespace quire::kernel {

/// The root directory. Each call makes a new inode object of the same file system.
RefPtr<Inode> procfs_root();
/// The same of /sys/kernel/mm/hugepages.
RefPtr<Inode> huge_pages_root();

}  // namespace quire::kernel
