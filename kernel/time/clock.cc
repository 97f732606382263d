#include "time/clock.h"

#include "arch/registers.h"
#include "time/cmos_clock.h"
#include "time/tsc.h"

namespace quire::kernel {

std::uint64_t monotonic_ns() { return monotonic_at(clock_page, read_tsc()); }

std::uint64_t realtime_ns() { return realtime_at(clock_page, read_tsc()); }

void set_realtime_ns(std::uint64_t now) { clock_page.realtime_offset.store(now - monotonic_ns()); }

void init_realtime(std::uint64_t known_ns) {
  set_realtime_ns(known_ns != 0 ? known_ns : read_cmos_clock() * 1'000'000'000);
}

}  // namespace quire::kernel
