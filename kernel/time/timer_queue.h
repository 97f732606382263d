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

/// What a CPU of an exact machine halts for. There QEMU lets time jump to whatever the timer is set for as soon as the machine is idle.
enum class HaltFor : std::uint8_t {
  kEvents,  ///< the next armed timer, or input; not the scheduler's tick
  kHost,    ///< the host's answer, during which time stands still: no timer is set
};
/// Sets this CPU's timer for a halt. Pre: interrupts off. Undone by the next arm_tick().
void prepare_exact_halt(HaltFor reason);

}  // namespace quire::kernel
