// Pseudo-terminals: a terminal whose device is a program's file, the master.
//
// Life cycle: opening /dev/ptmx takes the lowest free number, whose terminal is made once and kept for ever, because sessions point at
// terminals; /dev/pts/N is there as long as the master is open. Closing the master hangs the terminal up. A number is free again when
// the last file on the terminal is closed too. Behaviour: man7 pty(7), ptmx(4), ioctl_tty(2).
//
// Not there: packet mode, mounting other instances of devpts.
#pragma once

#include <cstdint>

#include "fs/vfs.h"

namespace quire::kernel {

inline constexpr std::uint32_t kPtyMajor = 136;  // UNIX98_PTY_SLAVE_MAJOR

/// Opens /dev/ptmx. Errors: ENOSPC (too many), and those of making the name.
Result<RefPtr<File>> open_pty_master(std::uint32_t flags);
/// Opens /dev/pts/`number`. Errors: EIO (locked, or the master is gone), ENXIO.
Result<RefPtr<File>> open_pty_slave(std::uint32_t number, std::uint32_t flags);

}  // namespace quire::kernel
