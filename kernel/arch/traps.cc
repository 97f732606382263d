#include "arch/traps.h"

#include <span>

#include "arch/cpu.h"
#include "arch/interrupts.h"
#include "arch/panic.h"
#include "arch/registers.h"
#include "mm/page_fault.h"
#include "sched/scheduler.h"
#include "sched/thread.h"
#include "syscall/syscall.h"
#include "time/tsc.h"

namespace quire::kernel {
namespace {

/// An instruction that may fault and where to go on then (emitted next to it, in section .fixups).
struct Fixup {
  std::uint64_t instruction, target;
};
extern "C" const Fixup fixups_begin[];
extern "C" const Fixup fixups_end[];

/// Leaves the kernel: runs what is due until nothing is, and returns with interrupts off.
void finish_user_return(TrapFrame& frame) {
  Cpu* cpu = &this_cpu_data();
  do {
    enable_interrupts();
    if (cpu->reschedule) yield_cpu();
    cpu = &this_cpu_data();
    cpu->exit_work = false;
    return_to_user_work(frame);
    disable_interrupts();
    cpu = &this_cpu_data();
  } while (cpu->exit_work || cpu->reschedule);
  account_time(CpuMode::kKernel);
}

void handle_user_exception(TrapFrame& frame) {
  const std::uint64_t address = frame.vector == kPageFaultVector ? read_cr2() : 0;
  enable_interrupts();
  if (frame.vector == kPageFaultVector) {
    user_page_fault(frame, address);
  } else {
    user_exception(frame, 0);
  }
}

}  // namespace

void account_time(CpuMode spent_in) {
  Cpu& cpu = this_cpu_data();
  const std::uint64_t now = read_tsc();
  const std::uint64_t ns = tsc_to_ns(now - cpu.account_tsc);
  cpu.account_tsc = now;
  auto& sum = spent_in == CpuMode::kUser ? cpu.current->user_ns : cpu.current->kernel_ns;
  // Only the CPU that runs the thread writes.
  sum.store(sum.load(std::memory_order_relaxed) + ns, std::memory_order_relaxed);
}

std::uint64_t fixup_of(std::uint64_t rip) {
  for (const Fixup& fixup : std::span(fixups_begin, fixups_end)) {
    if (fixup.instruction == rip) return fixup.target;
  }
  return 0;
}

extern "C" void trap_from_user(TrapFrame& frame) {
  account_time(CpuMode::kUser);
  if (frame.vector < kFirstInterruptVector) {
    handle_user_exception(frame);
  } else {
    handle_interrupt(static_cast<unsigned>(frame.vector));
  }
  finish_user_return(frame);
}

extern "C" void trap_from_kernel(TrapFrame& frame) {
  if (frame.vector >= kFirstInterruptVector) {
    handle_interrupt(static_cast<unsigned>(frame.vector));
    return;
  }
  const std::uint64_t address = frame.vector == kPageFaultVector ? read_cr2() : 0;
  if (frame.vector == kPageFaultVector && kernel_page_fault(frame, address)) return;
  panic_trap(frame, address);
}

extern "C" [[noreturn]] void trap_emergency(TrapFrame& frame) { panic_trap(frame, read_cr2()); }

extern "C" void syscall_from_user(TrapFrame& frame) {
  account_time(CpuMode::kUser);
  enable_interrupts();
  dispatch_syscall(frame);
  finish_user_return(frame);
}

/// A new thread returns to user mode for the first time.
extern "C" void first_return_to_user(TrapFrame& frame) {
  finish_thread_switch();
  finish_user_return(frame);
}

}  // namespace quire::kernel
