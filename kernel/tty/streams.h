// Standard streams that are not terminals: the command's stdin, stdout and stderr as pipes.
//
// Life cycle: one object per stream, made when first opened and kept; opening it again (/dev/stdin,
// /proc/self/fd/0) gives another File on the same bytes. Binary clean, end of file exactly where
// the host's is. They report S_IFIFO and cannot seek. Locks: each stream has a mutex, held over the
// transfer of one chunk, never while waiting for input.
#pragma once

#include "fs/vfs.h"

namespace quire::kernel {

/// The file for descriptor 0, 1 or 2 of the first process: the console terminal if the launch
/// record says so, else the stream. May sleep. Errors: EBADF (another number), ENXIO (the machine
/// has no such port).
Result<RefPtr<File>> open_standard_stream(int fd);

}  // namespace quire::kernel
