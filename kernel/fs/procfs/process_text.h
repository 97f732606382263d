// The text files of a process: what is read for them, and when.
//
// Each read takes a new snapshot, so that a file held open shows the process as it is. Files about
// memory show nothing for a process without any (man7 proc(5)).
#pragma once

#include "fs/procfs/node.h"
#include "fs/procfs/process_format.h"

namespace quire::kernel {

/// Writes the whole text.
using ProcessTextFunction = void (*)(const ProcessView& view, std::string& out);

RefPtr<Inode> make_process_text(std::uint64_t number, std::uint32_t permissions,
                                ProcNode::Owner owner, const ProcessIdentity& identity,
                                ProcessTextFunction format);

/// The auxiliary vector, for observers.
RefPtr<Inode> make_auxiliary_file(std::uint64_t number, std::uint32_t permissions, ProcNode::Owner owner, const ProcessIdentity& identity);

void write_comm(const ProcessView& view, std::string& out);
void write_mounts(const ProcessView& view, std::string& out);
void write_oom_score_adj(const ProcessView& view, std::string& out);

// Texts of any length, a piece at a time.
RefPtr<Inode> make_maps_text(std::uint64_t number, std::uint32_t permissions, ProcNode::Owner owner,
                             const ProcessIdentity& identity);
RefPtr<Inode> make_command_line_text(std::uint64_t number, std::uint32_t permissions,
                                     ProcNode::Owner owner, const ProcessIdentity& identity);
RefPtr<Inode> make_environment_text(std::uint64_t number, std::uint32_t permissions,
                                    ProcNode::Owner owner, const ProcessIdentity& identity);

}  // namespace quire::kernel
