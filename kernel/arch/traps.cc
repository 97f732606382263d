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

enum class From : std::uint8_t { kSystemCall, kTrap };

/// Leaves the kernel: runs what is due until nothing is, and returns with interrupts off. Pre: interrupts on. At the end of every trap and
/// system call, so inline. A trap has no result to settle, no mask to restore: only signals may be due.
template <From from>
[[gnu::always_inline]] inline void finish_user_return(TrapFrame& frame) {
  for (;;) {
    if (from == From::kSystemCall || current_thread().attention.load(std::memory_order_acquire)) return_to_user_work(frame);
    disable_interrupts();
    Cpu& cpu = this_cpu_data();
    if (!cpu.exit_work && !cpu.reschedule) [[likely]] return account_time(cpu, CpuMode::kKernel);
    cpu.exit_work = false;
    enable_interrupts();
    if (cpu.reschedule) yield_cpu();
    if (current_thread().sequence == Sequence::kInterrupted) return_to_interrupted_sequence(frame);
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
  if (frame.vector == kPageFaultVector) [[likely]] {
    const std::uint64_t address = read_cr2();
    enable_interrupts();
    user_page_fault(frame, address);
  } else if (frame.vector < kFirstInterruptVector) {
    enable_interrupts();
    user_exception(frame, 0);
  } else {
    handle_interrupt(static_cast<unsigned>(frame.vector));
    enable_interrupts();
  }
  finish_user_return<From::kTrap>(frame);
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
  finish_user_return<From::kSystemCall>(frame);
}

/// A new thread returns to user mode for the first time.
extern "C" void first_return_to_user(TrapFrame& frame) {
  finish_thread_switch();
  enable_interrupts();
  finish_user_return<From::kSystemCall>(frame);
}

}  // namespace quire::kernel
