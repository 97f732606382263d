// Who may look at another process's memory: files that Linux opens through ptrace_may_access().
//
// There are no dumpable flags, user namespaces or capabilities of their own: root may, others may
// if all of the process's ids are theirs.
#pragma once

#include "fs/procfs/node.h"

namespace quire::kernel {

/// Whether the current task may open the memory files of a process. Errors: EACCES; ESRCH if it has
/// gone. Linux v6.12 kernel/ptrace.c:__ptrace_may_access(), with PTRACE_MODE_READ_FSCREDS.
Result<void> may_observe(const ProcessIdentity& identity);

}  // namespace quire::kernel
