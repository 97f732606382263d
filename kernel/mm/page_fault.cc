#include "mm/page_fault.h"

#include "arch/interrupts.h"
#include "arch/layout.h"
#include "arch/registers.h"
#include "arch/traps.h"
#include "sched/scheduler.h"
#include "syscall/syscall.h"
#include "task/out_of_memory.h"

namespace quire::kernel {
namespace {

// Intel SDM 3A 4.7, figure 4-12.
constexpr std::uint64_t kErrorReserved = 8, kErrorFetch = 16;

/// Whether the access can be tried again. Counts the fault then.
bool resolved(Thread& thread, FaultOutcome outcome) {
  if (outcome != FaultOutcome::kMinor && outcome != FaultOutcome::kMajor) return false;
  count_fault(outcome == FaultOutcome::kMinor ? thread.minor_faults : thread.major_faults);
  return true;
}

}  // namespace

void end_user_page_fault(TrapFrame& frame, std::uint64_t address, FaultOutcome outcome) {
  Thread& thread = current_thread();
  if (resolved(thread, outcome) || outcome == FaultOutcome::kInterrupted) return;  // a signal first
  thread.internals->last_fault = outcome;
  user_exception(frame, address);
}

bool kernel_page_fault(TrapFrame& frame, std::uint64_t address) {
  if (address >= kUserTop || (frame.error_code & (kErrorReserved | kErrorFetch)) != 0) return false;
  const std::uint64_t fixup = fixup_of(frame.rip);
  if (fixup == 0) return false;  // only user copies may touch user memory
  Thread& thread = current_thread();
  if (thread.space != nullptr) {
    // Copies run with interrupts on; the fault may sleep.
    enable_interrupts();
    thread.internals->copies_for_kernel = true;
    const FaultOutcome outcome = thread.space->fault(VirtAddr(address), access_of(frame));
    thread.internals->copies_for_kernel = false;
    const bool again = outcome == FaultOutcome::kOutOfMemory && make_memory_free();
    disable_interrupts();
    if (again || resolved(thread, outcome)) return true;
  }
  frame.rip = fixup;
  return true;
}

bool is_user_page_fault() {
  Thread& thread = current_thread();
  return thread.trap_frame().vector == kPageFaultVector && !thread.internals->copies_for_kernel;
}

FaultOutcome last_fault_outcome() { return current_thread().internals->last_fault; }

}  // namespace quire::kernel
