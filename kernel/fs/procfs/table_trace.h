// /proc/pgtable_trace: what happens to page tables (quire/stats/trace.h), for root.
//
// Written: "all", "none", or names of events, and perhaps "space=N", divided by blanks or commas; EINVAL for anything else. Read: a line
// per record, from the oldest that is there, up to the newest; whoever goes on reading gets what has come since.
#pragma once

#include "fs/vfs.h"

namespace quire::kernel {

RefPtr<Inode> make_table_trace(std::uint64_t number);

}  // namespace quire::kernel
