// The text files of a process that show what its tables hold: smaps, smaps_rollup, numa_maps,
// pagetable.
//
// Life cycle and locks: as process_text.h says; observers (core/quire/space/observe.h) live for one
// piece of text. They show nothing for a process without memory.
#pragma once

#include "fs/procfs/node.h"

namespace quire::kernel {

RefPtr<Inode> make_smaps_text(std::uint64_t number, std::uint32_t permissions,
                              ProcNode::Owner owner, const ProcessIdentity& identity);
RefPtr<Inode> make_smaps_rollup_text(std::uint64_t number, std::uint32_t permissions,
                                     ProcNode::Owner owner, const ProcessIdentity& identity);
RefPtr<Inode> make_numa_maps_text(std::uint64_t number, std::uint32_t permissions,
                                  ProcNode::Owner owner, const ProcessIdentity& identity);
RefPtr<Inode> make_page_table_text(std::uint64_t number, std::uint32_t permissions,
                                   ProcNode::Owner owner, const ProcessIdentity& identity);

}  // namespace quire::kernel
