// What the time is computed from, in a page of its own: the kernel's clock and, mapped read-only as [vvar], every program's vDSO.
//
// Nothing in it changes after boot but one word, so readers need no sequence count: whatever they see of it is one state.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace quire::kernel {

struct alignas(4096) ClockPage {
  std::uint64_t tsc_at_boot;     ///< the counter's value at which the monotonic clock was 0
  std::uint64_t tsc_multiplier;  ///< nanoseconds per tick × 2^32
  std::atomic<std::uint64_t> realtime_offset;  ///< epoch time minus monotonic time
};
static_assert(sizeof(ClockPage) == 4096);

[[nodiscard]] inline std::uint64_t tsc_to_ns(const ClockPage& page, std::uint64_t ticks) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(Wide{ticks} * page.tsc_multiplier >> 32);
}
[[nodiscard]] inline std::uint64_t monotonic_at(const ClockPage& page, std::uint64_t tsc) {
  return tsc_to_ns(page, tsc - page.tsc_at_boot);
}
[[nodiscard]] inline std::uint64_t realtime_at(const ClockPage& page, std::uint64_t tsc) {
  return monotonic_at(page, tsc) + page.realtime_offset.load(std::memory_order_relaxed);
}

}  // namespace quire::kernel
