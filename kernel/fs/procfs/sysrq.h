// /proc/sysrq-trigger: what the machine does on request, by letters (Linux v6.12 drivers/tty/sysrq.c).
#pragma once

#include "fs/procfs/node.h"

namespace quire::kernel {

/// Root's only. `c` ends the machine in a panic; every other letter is said to be unknown in the log.
RefPtr<Inode> make_sysrq_trigger(std::uint64_t number);

}  // namespace quire::kernel
