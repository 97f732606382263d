// /proc/PID/mem: the memory of a process as a file, for debuggers.
//
// It is about the memory that the process had when the file was opened: after an exec, or the end,
// reads and writes say 0, the end of the file. Reads and writes go also where the program may not
// go, writes into copies of its own (R21). Linux v6.12 fs/proc/base.c:mem_rw().
#pragma once

#include "fs/procfs/node.h"

namespace quire::kernel {

RefPtr<Inode> make_memory_file(std::uint64_t number, std::uint32_t permissions,
                               ProcNode::Owner owner, const ProcessIdentity& identity);

}  // namespace quire::kernel
