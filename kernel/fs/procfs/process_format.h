// The texts of /proc/PID, from plain data: pure, so that they can be tested on the host.
//
// Formats: Linux v6.1 fs/proc/array.c, task_mmu.c, base.c; keys Linux does not have stand at the
// end of their block (product.md 3).
#pragma once

#include <cstdint>
#include <string>

#include "fs/procfs/mapped_file.h"
#include "quire/space/address_space.h"
#include "quire/space/observe.h"
#include "task/task.h"

namespace quire::kernel {

/// What an address space has to show; `present` is false for a process without one (a zombie, pid
/// 1).
struct MemoryView {
  bool present = false;
  Usage usage;
  Layout layout;
  PageCount locked;
  TableFigures tables;
};

/// One thread, or a process as a whole, and the machine around it.
struct ProcessView {
  const ProcessSnapshot& process;
  const MemoryView& memory;
  Pid id;                ///< what to show as pid: the thread's number in task/
  unsigned cpus;         ///< of the machine
  std::uint64_t frames;  ///< of the machine
};

void format_process_stat(const ProcessView& view, std::string& out);
void format_process_status(const ProcessView& view, std::string& out);
void format_process_statm(const ProcessView& view, std::string& out);
void format_process_limits(const ProcessView& view, std::string& out);
void format_process_oom_score(const ProcessView& view, std::string& out);

/// A line of /proc/PID/maps; `file` is null for anonymous memory.
void format_mapping(const Vma& vma, const Layout& layout, const MappedFile* file, std::string& out);

}  // namespace quire::kernel
