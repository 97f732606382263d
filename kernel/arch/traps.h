// Where the entry code (arch/entry.S) enters C++, and the fix-ups for kernel instructions that may fault.
#pragma once

#include <cstdint>

#include "arch/trap_frame.h"

namespace quire::kernel {

/// Where the kernel goes on if its instruction at `rip` faults for good; 0 if that must not happen.
std::uint64_t fixup_of(std::uint64_t rip);

/// Charges the time since the last crossing to the running thread's user or kernel time.
enum class CpuMode : std::uint8_t { kUser, kKernel };
void account_time(CpuMode spent_in);

}  // namespace quire::kernel
