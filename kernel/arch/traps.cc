#include "arch/traps.h"

#include <span>

#include "arch/interrupts.h"
#include "arch/panic.h"
#include "mm/page_fault.h"
#include "sched/scheduler.h"
#include "syscall/syscall.h"

namespace quire::kernel {
namespace {

/// An instruction that may fault and where to go on then (emitted next to it, in section .fixups).
struct Fixup {
  std::uint64_t instruction, target;
};
extern "C" const Fixup fixups_begin[];
extern "C" const Fixup fixups_end[];

/// Leaves the kernel: runs what is due until nothing is, and returns with interrupts off. Pre: interrupts on.
void finish_user_return(TrapFrame& frame) {
  for (;;) {
    return_to_user_work(frame);
    disable_interrupts();
    Cpu& cpu = this_cpu_data();
    if (!cpu.exit_work && !cpu.reschedule) [[likely]] return account_time(cpu, CpuMode::kKernel);
    cpu.exit_work = false;
    enable_interrupts();
    if (cpu.reschedule) yield_cpu();
  }
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

std::uint64_t fixup_of(std::uint64_t rip) {
  for (const Fixup& fixup : std::span(fixups_begin, fixups_end)) {
    if (fixup.instruction == rip) return fixup.target;
  }
  return 0;
}

extern "C" void trap_from_user(TrapFrame& frame) {
  account_time(this_cpu_data(), CpuMode::kUser);
  if (frame.vector < kFirstInterruptVector) {
    handle_user_exception(frame);
  } else {
    handle_interrupt(static_cast<unsigned>(frame.vector));
    enable_interrupts();
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
  account_time(this_cpu_data(), CpuMode::kUser);
  enable_interrupts();
  dispatch_syscall(frame);
  finish_user_return(frame);
}

/// A new thread returns to user mode for the first time.
extern "C" void first_return_to_user(TrapFrame& frame) {
  finish_thread_switch();
  enable_interrupts();
  finish_user_return(frame);
}

}  // namespace quire::kernel
