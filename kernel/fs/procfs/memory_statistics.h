// /proc/vmstat: core's counters under the names of product.md section 3, a line each.
#pragma once

#include <string>

namespace quire::kernel {

void write_memory_statistics(std::string& out);

}  // namespace quire::kernel
