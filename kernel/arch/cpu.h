// One CPU's own data, found through GS while in the kernel.
//
// The kernel is preempted only in user mode, so code between two sleeps stays on its CPU and may hold
// the reference that this_cpu_data() gave. Areas with more per-CPU state of their own keep it in a
// PerCpu<T> beside their code; Cpu has what entry code, traps and everybody need.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arch/offsets.h"

namespace quire::kernel {

class Thread;

inline constexpr unsigned kCpuLimit = QUIRE_MAX_CPUS;

struct alignas(64) Cpu {
  Cpu* self;                   ///< entry code reads it; so does this_cpu_data()
  std::uint64_t kernel_stack;  ///< top of the current thread's stack
  std::uint64_t user_rsp;      ///< scratch of the system call entry
  Thread* current;
  unsigned index;
  std::uint32_t apic_id;
  /// The exit path must go round again: something was posted to the running thread. Only this CPU writes it.
  bool exit_work;
  /// Another thread should run before the next return to user mode. Only this CPU writes it.
  bool reschedule;
  bool in_interrupt;  ///< a device's, timer's or other CPU's handler runs
  /// TSC at the last crossing between user and kernel mode or between threads.
  std::uint64_t account_tsc;
  std::uint64_t interrupts;  ///< taken on this CPU
  /// Nanoseconds in user and in kernel mode, idling included, and switches of threads; for /proc/stat.
  std::atomic<std::uint64_t> user_ns, kernel_ns, switches;
};
static_assert(offsetof(Cpu, self) == QUIRE_CPU_SELF);
static_assert(offsetof(Cpu, kernel_stack) == QUIRE_CPU_KERNEL_STACK);
static_assert(offsetof(Cpu, user_rsp) == QUIRE_CPU_USER_RSP);

/// This CPU's data. Pre: install_cpu() ran here.
inline Cpu& this_cpu_data() {
  Cpu* cpu;
  asm volatile("movq %%gs:%c1, %0" : "=r"(cpu) : "i"(QUIRE_CPU_SELF));
  return *cpu;
}

/// The data of CPU `index`, whether it is up or not.
Cpu& cpu_data(unsigned index);

/// Makes `index` this CPU's number and points GS at its data.
void install_cpu(unsigned index, std::uint32_t apic_id);

/// Something of each CPU, on its own cache lines.
template <typename T>
class PerCpu {
 public:
  T& local() { return slots_[this_cpu_data().index].value; }
  T& of(unsigned cpu) { return slots_[cpu].value; }

 private:
  struct alignas(64) Slot {
    T value{};
  };
  std::array<Slot, kCpuLimit> slots_{};
};

/// CPUs that are up, as a bit mask.
extern std::atomic<std::uint64_t> online_cpus;

}  // namespace quire::kernel
