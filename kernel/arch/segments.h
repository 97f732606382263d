// Segment descriptors, the task state segment with its emergency stacks, and the interrupt table.
//
// The interrupt table is one for all CPUs; descriptors and stacks are each CPU's own. #DF, NMI and #MC
// have stacks of their own (IST): they may strike where the normal stack is no good.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::kernel {

/// Room for a panic, which prints and audits on such a stack.
inline constexpr std::size_t kEmergencyStackSize = 8192;
inline constexpr unsigned kEmergencyStacks = 3;

/// Loads this CPU's descriptor tables. `emergency_stacks`: kEmergencyStacks × kEmergencyStackSize bytes that
/// stay for ever; used at the first call for this CPU only. Resets GS: install_cpu() comes after.
void load_segments(unsigned cpu, std::byte* emergency_stacks);

/// Stack on which this CPU enters the kernel from user mode.
void set_kernel_stack(std::uint64_t top);

}  // namespace quire::kernel
