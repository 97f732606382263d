#include "arch/smp.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/features.h"
#include "arch/fpu.h"
#include "arch/layout.h"
#include "arch/paging.h"
#include "arch/registers.h"
#include "arch/segments.h"
#include "lib/log.h"
#include "mm/blocks.h"
#include "sched/scheduler.h"

namespace quire::kernel {
namespace {

extern "C" const char trampoline_begin[], trampoline_end[];

constexpr std::size_t kEmergencyBytes = kEmergencyStacks * kEmergencyStackSize;
constinit std::array<std::byte*, kCpuLimit> emergency_stacks{};

}  // namespace

extern "C" {
// The trampoline reads these: the kernel's root, and the top of each CPU's first stack by APIC id.
constinit std::uint64_t start_root = 0;
constinit std::array<std::byte*, kCpuLimit> start_stacks{};
}

unsigned configured_cpus() {
  constexpr std::uint16_t kSelector = 0x510, kData = 0x511, kCpuCountKey = 5;  // QEMU docs/specs/fw_cfg.rst
  write_port16(kSelector, kCpuCountKey);
  const unsigned low = read_port8(kData);
  const unsigned count = low | (static_cast<unsigned>(read_port8(kData)) << 8);
  return std::clamp(count, 1U, kCpuLimit);
}

void bring_up_cpu(unsigned index) {
  install_cpu(index, index);
  enable_features();
  enable_fpu();
  init_idle_thread();
  enable_local_apic();
  online_cpus.fetch_or(std::uint64_t{1} << index);
}

extern "C" [[noreturn]] void start_this_cpu(unsigned index) {
  load_segments(index, emergency_stacks[index]);
  bring_up_cpu(index);
  idle_loop();
}

void start_cpus() {
  const unsigned count = configured_cpus();
  if (count == 1) return;
  for (unsigned i = 1; i < count; ++i) {
    start_stacks[i] = allocate_block(kKernelStackSize) + kKernelStackSize;
    emergency_stacks[i] = allocate_block(kEmergencyBytes);
  }
  start_root = kernel_root();
  std::memcpy(direct_map(QUIRE_TRAMPOLINE), trampoline_begin, static_cast<std::size_t>(trampoline_end - trampoline_begin));
  start_other_cpus(QUIRE_TRAMPOLINE >> 12);
  while (online_cpus.load() != (std::uint64_t{1} << count) - 1) pause_cpu();
  log(LogLevel::kInfo, "{} CPUs", count);
}

}  // namespace quire::kernel
