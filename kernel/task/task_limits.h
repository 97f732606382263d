// How many tasks there may be, and the limits a process is born with.
#pragma once

#include "task/process.h"

namespace quire::kernel {

/// RLIMIT_* as Linux gives them to the first process; NPROC and SIGPENDING depend on the memory.
RefPtr<SharedLimits> initial_limits();
/// Whether one more task may start. Locks: task_lock held. Errors: EAGAIN.
Result<void> check_task_limit_locked(const Process& parent);
/// The limits that bind memory of `who`, in core's form.
[[nodiscard]] Limits memory_limits(const SharedLimits& limits, const Credentials& who);

}  // namespace quire::kernel
