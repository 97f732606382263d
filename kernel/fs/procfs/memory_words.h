// The files of /proc that are arrays of 64-bit words: PID/pagemap, by page of a process's memory;
// kpagecount and kpageflags, by frame.
//
// A file has no size; words beyond the end of memory are not there. Frame numbers are zero unless
// root opened the file (man7 proc_pid_pagemap(5)). Offsets and lengths are whole words: EINVAL
// otherwise.
#pragma once

#include "fs/procfs/node.h"

namespace quire::kernel {

RefPtr<Inode> make_pagemap(std::uint64_t number, std::uint32_t permissions, ProcNode::Owner owner,
                           const ProcessIdentity& identity);
RefPtr<Inode> make_frame_counts(std::uint64_t number);
RefPtr<Inode> make_frame_flags(std::uint64_t number);

}  // namespace quire::kernel
