// The code of the vDSO: what system calls of these names answer, without a trap where that can be had (man7 vdso(7)).
//
// Built by itself as a shared object of one page; the page below it is the kernel's ClockPage. Runs in user mode, in programs' address
// spaces, with nothing of the kernel's but that page.
#include "arch/offsets.h"
#include "lib/version.h"
#include "time/clock_page.h"

#include "task/uapi.h"  // last, see there

namespace {

using quire::kernel::ClockPage;

extern "C" [[gnu::visibility("hidden")]] const ClockPage clock_page;

constexpr std::uint64_t kNsPerSecond = 1'000'000'000, kNsPerMicrosecond = 1'000;

/// The number of the release, as LINUX_VERSION_CODE has it.
constexpr std::uint32_t release_code(std::string_view release) {
  std::uint32_t code = 0, number = 0;
  for (const char c : release.substr(0, release.find('-'))) {
    if (c == '.') {
      code = (code | number) << 8;
      number = 0;
    } else {
      number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
  }
  return code | number;
}

/// What the C library's loader takes for the kernel's release.
struct Note {
  std::uint32_t name_size = sizeof name, size = sizeof release, type = 0;
  char name[6] = "Linux";
  std::uint32_t release = release_code(quire::kernel::kKernelRelease);
};
[[gnu::used, gnu::section(".note.Linux")]] constinit const Note note{};

/// Not before anything that the program did before (Linux v6.12 arch/x86/include/asm/msr.h:rdtsc_ordered()).
inline std::uint64_t ordered_tsc() {
  std::uint32_t low, high;
  asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (std::uint64_t{high} << 32) | low;
}

inline std::uint64_t monotonic_now() { return monotonic_at(clock_page, ordered_tsc()); }
inline std::uint64_t realtime_now() { return realtime_at(clock_page, ordered_tsc()); }

inline long system_call(long number, long first, const void* second) {
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
  return result;
}

inline int put(__kernel_timespec* to, std::uint64_t ns) {
  to->tv_sec = static_cast<__kernel_time64_t>(ns / kNsPerSecond);
  to->tv_nsec = static_cast<long long>(ns % kNsPerSecond);
  return 0;
}

/// Which clocks need no process: they are but two.
enum class Source { kRealtime, kMonotonic, kKernel };
inline Source source_of(__kernel_clockid_t clock) {
  constexpr unsigned kRealtimes = 1U << CLOCK_REALTIME | 1U << CLOCK_REALTIME_COARSE | 1U << CLOCK_TAI;
  constexpr unsigned kMonotonics =
      1U << CLOCK_MONOTONIC | 1U << CLOCK_MONOTONIC_RAW | 1U << CLOCK_MONOTONIC_COARSE | 1U << CLOCK_BOOTTIME;
  const auto number = static_cast<unsigned>(clock);
  if (number > CLOCK_TAI) return Source::kKernel;
  const unsigned bit = 1U << number;
  if ((bit & kMonotonics) != 0) return Source::kMonotonic;
  return (bit & kRealtimes) != 0 ? Source::kRealtime : Source::kKernel;
}

}  // namespace

extern "C" {

int __vdso_clock_gettime(__kernel_clockid_t clock, __kernel_timespec* to) {
  switch (source_of(clock)) {
    case Source::kMonotonic: return put(to, monotonic_now());
    case Source::kRealtime: return put(to, realtime_now());
    case Source::kKernel: break;
  }
  return static_cast<int>(system_call(__NR_clock_gettime, clock, to));
}

int __vdso_clock_getres(__kernel_clockid_t clock, __kernel_timespec* to) {
  if (source_of(clock) == Source::kKernel) return static_cast<int>(system_call(__NR_clock_getres, clock, to));
  return to != nullptr ? put(to, 1) : 0;
}

int __vdso_gettimeofday(__kernel_old_timeval* to, quire::kernel::uapi::timezone* zone) {
  if (to != nullptr) {
    const std::uint64_t now = realtime_now();
    to->tv_sec = static_cast<__kernel_long_t>(now / kNsPerSecond);
    to->tv_usec = static_cast<__kernel_long_t>(now % kNsPerSecond / kNsPerMicrosecond);
  }
  if (zone != nullptr) *zone = {};
  return 0;
}

__kernel_old_time_t __vdso_time(__kernel_old_time_t* to) {
  const auto now = static_cast<__kernel_old_time_t>(realtime_now() / kNsPerSecond);
  if (to != nullptr) *to = now;
  return now;
}

/// A segment's limit tells the number of the CPU (arch/segments.cc), and any program may ask for it.
long __vdso_getcpu(unsigned* cpu, unsigned* node, void*) {
  unsigned limit = 0;
  asm volatile("lsl %1, %0" : "=r"(limit) : "r"(QUIRE_CPU_NUMBER) : "cc");
  if (cpu != nullptr) *cpu = limit;
  if (node != nullptr) *node = 0;
  return 0;
}
}
