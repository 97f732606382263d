// The time stamp counter as the kernel's clock.
//
// Its frequency comes from the launch record, from CPUID, or from a short calibration against the local APIC's timer.
// The counters of all CPUs run together (QEMU: one clock for the machine).
#pragma once

#include <cstdint>

namespace quire::kernel {

/// Conversion factor: nanoseconds per tick × 2^32. Set once by init_tsc().
extern std::uint64_t tsc_multiplier;

/// Finds the frequency; `known_hz` 0 means it is not known. Pre: the local APIC is on. Post: its timer must be switched on again.
void init_tsc(std::uint64_t known_hz);
[[nodiscard]] std::uint64_t tsc_hz();

__extension__ using Wide = unsigned __int128;

[[nodiscard]] inline std::uint64_t tsc_to_ns(std::uint64_t ticks) {
  return static_cast<std::uint64_t>(Wide{ticks} * tsc_multiplier >> 32);
}
[[nodiscard]] std::uint64_t ns_to_tsc(std::uint64_t ns);
/// The counter's value at which monotonic_ns() was 0.
[[nodiscard]] std::uint64_t tsc_at_boot();

}  // namespace quire::kernel
