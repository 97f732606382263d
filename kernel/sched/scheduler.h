// The scheduler's inside: one run queue per CPU, round robin with slices of 4 ms, idle CPUs steal.
//
// A thread is on at most one queue. It is put on one by whoever makes it runnable, and taken off by the CPU that
// will run it. `Internals::on_cpu` stays set until its registers are saved, so that another CPU that took it
// early waits for that. Locks: each queue's IrqSpinLock, never two at once; nothing else is taken inside.
#pragma once

#include <atomic>
#include <boost/intrusive/list_hook.hpp>
#include <cstddef>
#include <cstdint>

#include "arch/fpu.h"
#include "sched/thread.h"

namespace quire::kernel {

enum class ThreadState : std::uint32_t {
  kRunnable,  ///< running, or on a queue
  kSleeping,
  kDead,
};

/// What the scheduler keeps of a thread.
struct Thread::Internals {
  explicit Internals(Thread& t) : thread(t) {}
  [[nodiscard]] bool may_run_on(unsigned index) const { return (thread.allowed_cpus.load(std::memory_order_relaxed) >> index & 1) != 0; }
  Thread& thread;
  std::uint64_t stack_pointer = 0;      ///< where switch_stacks() saved the registers
  std::byte* stack = nullptr;           ///< lowest address; null for idle threads, which never go to user mode
  std::atomic<ThreadState> state{ThreadState::kRunnable};
  std::atomic<bool> on_cpu{false};
  std::atomic<unsigned> cpu{0};         ///< where it runs or ran last
  boost::intrusive::list_member_hook<> queue_hook;
  Internals* next_dead = nullptr;
  FpuState fpu;
  FaultOutcome last_fault = FaultOutcome::kMinor;  ///< of the fault that user_exception() is told of
  bool copies_for_kernel = false;                  ///< a fault of a copy from or to user memory is being resolved
};

inline constexpr std::size_t kKernelStackSize = 16384;

/// Makes the calling code this CPU's idle thread, on the stack it runs on.
void init_idle_thread();
/// Starts what the scheduler needs threads for.
void start_scheduler_threads();
/// Runs threads for ever; what a CPU does when it has nothing to do.
[[noreturn]] void idle_loop();

/// Puts the current thread to sleep: state first, then a last test of the reason, then sleep_now() or cancel_sleep().
void announce_sleep();
void cancel_sleep();
void sleep_now();
/// Makes a sleeping thread runnable. Any context. False if it was not asleep.
bool wake_thread(Thread& thread);

/// Ends a switch on the new thread's side; a thread's first code calls it.
void finish_thread_switch();
/// From the timer interrupt: the running thread's slice is over.
void on_tick();
/// Another CPU posted something here.
void on_reschedule_interrupt();

/// Threads on run queues or running, for load figures.
unsigned runnable_threads();

}  // namespace quire::kernel
