// /proc/PID/clear_refs: a number written to it makes a process's memory look untouched (man7
// proc_pid_clear_refs(5)).
//
// 1 all pages, 2 private ones, 3 those of files and shared memory, 5 the peak of the resident size.
// 4 (soft-dirty) is not tracked: EINVAL.
#pragma once

#include "fs/procfs/node.h"

namespace quire::kernel {

RefPtr<Inode> make_clear_refs(std::uint64_t number, std::uint32_t permissions,
                              ProcNode::Owner owner, const ProcessIdentity& identity);

}  // namespace quire::kernel
