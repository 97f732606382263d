// The texts of /proc itself. Those that take figures are pure, so that they can be tested on the
// host.
//
// Formats: Linux v6.1 fs/proc/{meminfo,stat,uptime,loadavg,version}.c. Keys for what this kernel
// does not have are left out, but for those that free(1) and top(1) insist on.
#pragma once

#include <string>

#include "fs/procfs/system_figures.h"

namespace quire::kernel {

struct LoadFigures;

void format_meminfo(const MemoryFigures& figures, std::string& out);
void format_system_stat(const SystemFigures& figures, std::string& out);
void format_uptime(const SystemFigures& figures, std::uint64_t uptime_ns, std::string& out);
void format_load_average(const LoadFigures& load, std::string& out);

}  // namespace quire::kernel
