#include "time/tsc.h"

#include "arch/apic.h"
#include "arch/features.h"
#include "arch/registers.h"

namespace quire::kernel {

constinit ClockPage clock_page{.tsc_at_boot = 0, .tsc_multiplier = std::uint64_t{1} << 32, .realtime_offset = 0};

namespace {

constinit std::uint64_t frequency = 1'000'000'000;

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kCalibrationNs = 2'000'000;
constexpr int kSamples = 8;

/// value × by ÷ over with a 128-bit product. Pre: the result fits.
std::uint64_t scale(std::uint64_t value, std::uint64_t by, std::uint64_t over) {
  std::uint64_t low = value, high;
  asm("mulq %2\n\tdivq %3" : "+a"(low), "=&d"(high) : "r"(by), "r"(over) : "cc");
  return low;
}

/// Both clocks at one instant. Of several readings the one with the least time around it counts: another program on
/// the host may have run in between the others.
struct Instant {
  std::uint64_t tsc;
  std::uint32_t counter;
};
Instant read_both() {
  Instant best{};
  std::uint64_t best_gap = ~std::uint64_t{0};
  for (int i = 0; i < kSamples; ++i) {
    const std::uint64_t before = read_tsc();
    const std::uint32_t counter = read_local_counter();
    const std::uint64_t gap = read_tsc() - before;
    if (gap < best_gap) {
      best_gap = gap;
      best = {before + gap / 2, counter};
    }
  }
  return best;
}

std::uint64_t calibrate() {
  start_local_counter();
  const Instant begin = read_both();
  while (begin.counter - read_local_counter() < kCalibrationNs) pause_cpu();
  const Instant end = read_both();
  return scale(end.tsc - begin.tsc, kNsPerSecond, begin.counter - end.counter);
}

/// The frequency as CPUID tells it: by the hypervisor's leaf, or by leaf 0x15; 0 if it does not.
std::uint64_t hz_by_cpuid() {
  constexpr std::uint32_t kHypervisorLeaf = 0x40000000, kHypervisorTiming = 0x40000010, kTscLeaf = 0x15;
  if (cpu_features().hypervisor && cpuid(kHypervisorLeaf).eax >= kHypervisorTiming) {
    if (const std::uint64_t khz = cpuid(kHypervisorTiming).eax; khz != 0) return khz * 1000;
  }
  if (cpuid(0).eax >= kTscLeaf) {
    const CpuidResult r = cpuid(kTscLeaf);
    if (r.eax != 0 && r.ebx != 0 && r.ecx != 0) return scale(r.ecx, r.ebx, r.eax);
  }
  return 0;
}

}  // namespace

void init_tsc(std::uint64_t known_hz) {
  clock_page.tsc_at_boot = read_tsc();
  if (known_hz == 0) known_hz = hz_by_cpuid();
  frequency = known_hz != 0 ? known_hz : calibrate();
  clock_page.tsc_multiplier = scale(kNsPerSecond, std::uint64_t{1} << 32, frequency);
}

std::uint64_t tsc_hz() { return frequency; }

std::uint64_t ns_to_tsc(std::uint64_t ns) { return scale(ns, frequency, kNsPerSecond); }

}  // namespace quire::kernel
