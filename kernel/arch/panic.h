// The end of a machine that found itself broken: says why, where and how, and leaves QEMU with status 65.
#pragma once

#include <string_view>

#include "arch/trap_frame.h"

namespace quire::kernel {

/// Stops the other CPUs, prints `text` and the backtrace of the caller, and powers off.
[[noreturn]] void panic(std::string_view text);

/// The same for a trap nobody can handle: its registers, and the backtrace of what it interrupted.
[[noreturn]] void panic_trap(const TrapFrame& frame, std::uint64_t fault_address);

/// What else a panic prints, after the backtrace (core's audit). Runs with interrupts off, alone.
void set_panic_report(void (*report)());

/// Every turn of a spin loop: ends a panic whose report spins for ever, because the lock's holder was stopped.
void note_spin_in_panic();

/// How the machine ends (docs/decisions/0001-guest-contract.md).
enum class MachineEnd : std::uint8_t { kOk = 0x10, kPanic = 0x20 };
[[noreturn]] void power_off(MachineEnd end);

}  // namespace quire::kernel
