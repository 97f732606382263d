// Page faults: those of programs, and those of the kernel while it copies from or to user memory.
#pragma once

#include <cstdint>

#include "arch/trap_frame.h"
#include "sched/thread.h"

namespace quire::kernel {

/// What a page fault's access was (Intel SDM 3A 4.7, figure 4-12).
inline Access access_of(const TrapFrame& frame) {
  constexpr std::uint64_t kWrite = 2, kFetch = 16;
  if ((frame.error_code & kFetch) != 0) [[unlikely]] return Access::kExecute;
  return (frame.error_code & kWrite) != 0 ? Access::kWrite : Access::kRead;
}

/// Counts a fault of `thread`, which alone writes its counts.
inline void count_fault(std::atomic<std::uint64_t>& count) {
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

/// What is left to do for a fault from user mode that did not end as most do.
void end_user_page_fault(TrapFrame& frame, std::uint64_t address, FaultOutcome outcome);

/// Resolves a fault from user mode, or turns it into an exception of the program. Interrupts on; may sleep.
inline void user_page_fault(TrapFrame& frame, std::uint64_t address) {
  Thread& thread = current_thread();
  const FaultOutcome outcome = thread.space->fault(VirtAddr(address), access_of(frame));  // of addresses beyond user space, too: unmapped
  if (outcome == FaultOutcome::kMinor) [[likely]] return count_fault(thread.minor_faults);
  end_user_page_fault(frame, address, outcome);
}

/// Whether the current thread is in the kernel for a fault that its program made in user mode.
[[nodiscard]] bool is_user_page_fault();

/// Resolves a fault from kernel mode, or goes on at its fix-up. False if the kernel is at fault.
bool kernel_page_fault(TrapFrame& frame, std::uint64_t address);

}  // namespace quire::kernel
