// /proc/cpuinfo: what CPUID says, under Linux's names.
#pragma once

#include <string>

namespace quire::kernel {

/// A block per CPU that is online; QEMU's CPUs are all alike, so the one this runs on speaks for
/// all.
void write_cpu_info(std::string& out);

}  // namespace quire::kernel
