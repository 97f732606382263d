// What happens when no frame is left: the largest process dies, so that the others go on (Linux:
// the OOM killer).
#pragma once

namespace quire::kernel {

/// Called when a fault of the current task found no frame. First lets go of what the kernel only
/// keeps for speed; else kills the process with the most memory and tells the command; while one is
/// dying, waits a moment for it. Returns whether to try again: not if the current process is itself
/// about to end. May sleep.
bool make_memory_free();

}  // namespace quire::kernel
