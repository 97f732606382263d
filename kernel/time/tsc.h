// The time stamp counter as the kernel's clock.
//
// Its frequency comes from the launch record, from CPUID, or from a short calibration against the local APIC's timer.
// The counters of all CPUs run together (QEMU: one clock for the machine).
#pragma once

#include <cstdint>

#include "time/clock_page.h"

namespace quire::kernel {

/// Whose first two fields init_tsc() sets.
extern ClockPage clock_page;

/// Finds the frequency; `known_hz` 0 means it is not known. Pre: the local APIC is on. Post: its timer must be switched on again.
void init_tsc(std::uint64_t known_hz);
[[nodiscard]] std::uint64_t tsc_hz();

[[nodiscard]] inline std::uint64_t tsc_to_ns(std::uint64_t ticks) { return tsc_to_ns(clock_page, ticks); }
[[nodiscard]] std::uint64_t ns_to_tsc(std::uint64_t ns);

}  // namespace quire::kernel
