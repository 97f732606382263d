#include "time/clock.h"

#include <atomic>

#include "arch/registers.h"
#include "time/cmos_clock.h"
#include "time/tsc.h"

namespace quire::kernel {
namespace {

/// Epoch time minus monotonic time.
constinit std::atomic<std::uint64_t> realtime_offset{0};

}  // namespace

std::uint64_t monotonic_ns() { return tsc_to_ns(read_tsc() - tsc_at_boot()); }

std::uint64_t realtime_ns() { return monotonic_ns() + realtime_offset.load(std::memory_order_relaxed); }

void set_realtime_ns(std::uint64_t now) { realtime_offset.store(now - monotonic_ns()); }

void init_realtime(std::uint64_t known_ns) {
  set_realtime_ns(known_ns != 0 ? known_ns : read_cmos_clock() * 1'000'000'000);
}

}  // namespace quire::kernel
