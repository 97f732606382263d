// Each CPU's armed timers in order of their time, and the scheduler's tick among them.
//
// Locks: one IrqSpinLock per CPU; callbacks run without it, with interrupts off. The hardware timer is set
// for the earliest event and may come early; then it is set again.
#pragma once

#include <cstdint>

namespace quire::kernel {

/// Handler of kTimerVector.
void on_timer_interrupt();

/// Has the scheduler's on_tick() called on this CPU once, `ns` from now, unless that is already due earlier.
void arm_tick(std::uint64_t ns);

}  // namespace quire::kernel
