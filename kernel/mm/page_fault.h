// Page faults: those of programs, and those of the kernel while it copies from or to user memory.
#pragma once

#include <cstdint>

#include "arch/trap_frame.h"

namespace quire::kernel {

/// Resolves a fault from user mode, or turns it into an exception of the program. Interrupts on; may sleep.
void user_page_fault(TrapFrame& frame, std::uint64_t address);

/// Resolves a fault from kernel mode, or goes on at its fix-up. False if the kernel is at fault.
bool kernel_page_fault(TrapFrame& frame, std::uint64_t address);

}  // namespace quire::kernel
