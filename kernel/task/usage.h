// Resource usage in the form programs see it.
#pragma once

#include "task/process.h"
#include "task/uapi.h"

namespace quire::kernel {

[[nodiscard]] uapi::rusage to_rusage(const ResourceTally& used);
/// What the current process has used so far, the address space's faults included. May sleep.
ResourceTally usage_of_current();
/// Nanoseconds of CPU time, user and kernel, of a task and of a whole process (living and ended
/// tasks).
[[nodiscard]] std::uint64_t cpu_time(const Thread& thread);
/// Locks: task_lock held.
[[nodiscard]] std::uint64_t cpu_time_locked(Process& process);

}  // namespace quire::kernel
