// Vectors, and who handles them.
//
// Exceptions go to arch/traps.cc. Device interrupts are registered by GSI; the kernel's own (timer, calls
// from other CPUs) have fixed vectors. Handlers run with interrupts off, on the interrupted thread's stack,
// and must not sleep.
#pragma once

#include <cstdint>

namespace quire::kernel {

inline constexpr unsigned kDivideVector = 0, kDebugVector = 1, kNmiVector = 2, kBreakpointVector = 3,
                          kOverflowVector = 4, kDoubleFaultVector = 8, kProtectionVector = 13,
                          kPageFaultVector = 14, kMachineCheckVector = 18, kFirstInterruptVector = 32;
/// GSI n arrives at kDeviceVector + n.
inline constexpr unsigned kDeviceVector = 0x20, kDeviceCount = 48;
inline constexpr unsigned kRescheduleVector = 0xf0, kShootdownVector = 0xf1, kTimerVector = 0xf2,
                          kSpuriousVector = 0xff;

using InterruptHandler = void (*)(void* argument);

/// Routes a GSI (level triggered, active high) to CPU 0 and to `handler`.
void register_device_interrupt(unsigned gsi, InterruptHandler handler, void* argument);

/// Runs the handler of `vector` and acknowledges it. Pre: interrupts off.
void handle_interrupt(unsigned vector);

}  // namespace quire::kernel
