// Where the entry code (arch/entry.S) enters C++, and the fix-ups for kernel instructions that may fault.
#pragma once

#include <cstdint>

#include "arch/cpu.h"
#include "arch/registers.h"
#include "arch/trap_frame.h"
#include "sched/thread.h"
#include "time/tsc.h"

namespace quire::kernel {

/// Where the kernel goes on if its instruction at `rip` faults for good; 0 if that must not happen.
std::uint64_t fixup_of(std::uint64_t rip);

/// Charges the time since the last crossing to the running thread's user or kernel time. Twice in every system call, so inline.
enum class CpuMode : std::uint8_t { kUser, kKernel };
inline void account_time(Cpu& cpu, CpuMode spent_in) {
  const std::uint64_t now = read_tsc();
  const std::uint64_t ns = tsc_to_ns(now - cpu.account_tsc);
  cpu.account_tsc = now;
  // Only the CPU that runs the thread writes.
  const auto add = [ns](std::atomic<std::uint64_t>& sum) {
    sum.store(sum.load(std::memory_order_relaxed) + ns, std::memory_order_relaxed);
  };
  add(spent_in == CpuMode::kUser ? cpu.current->user_ns : cpu.current->kernel_ns);
  add(spent_in == CpuMode::kUser ? cpu.user_ns : cpu.kernel_ns);
}

}  // namespace quire::kernel
