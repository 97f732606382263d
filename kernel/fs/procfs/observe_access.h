// Who may look at another process's memory: files that Linux opens through ptrace_may_access().
//
// There are no dumpable flags, user namespaces or capabilities of their own: root may, others may
// if all of the process's ids are theirs.
#pragma once

#include "fs/permission.h"
#include "fs/procfs/node.h"

namespace quire::kernel {

/// Whether the current task may open the memory files of a process. Errors: EACCES; ESRCH if it has
/// gone. Linux v6.12 kernel/ptrace.c:__ptrace_may_access(), with PTRACE_MODE_READ_FSCREDS.
Result<void> may_observe(const ProcessIdentity& identity);

/// Whether `who`, the current task's ids of one kind, may reach into the memory of `process`. Errors: EACCES.
Result<void> may_access(const ProcessSnapshot& process, const Identity& who);

}  // namespace quire::kernel
