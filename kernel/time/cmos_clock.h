// The PC's battery-backed clock, read once at boot when nobody else tells the time.
#pragma once

#include <cstdint>

namespace quire::kernel {

/// Seconds since the epoch, in UTC.
std::uint64_t read_cmos_clock();

}  // namespace quire::kernel
