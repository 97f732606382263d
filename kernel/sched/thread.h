// What the scheduler knows of a thread of execution: kernel stack, saved context, FPU state, the address space to load.
//
// `Task` (task/task.h) derives from Thread: a Linux task. Kernel threads are plain Threads.
// States: runnable (on a run queue or running) → sleeping → runnable …; dead after exit_thread(), freed by the owner's callback.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arch/cpu.h"
#include "quire/space/address_space.h"
#include "syscall/syscall.h"

namespace quire::kernel {

struct TrapFrame;

/// Restartable sequences of a thread (task/rseq.cc): none, undisturbed since it last settled them, or to be settled before it returns to
/// user mode.
enum class Sequence : std::uint8_t { kNone, kWhole, kInterrupted };

/// One schedulable thread.
class Thread {
 public:
  virtual ~Thread();

  /// Gives the thread a kernel stack. It will begin in `entry(argument)` when first scheduled. Errors: ENOMEM.
  Result<void> prepare(void (*entry)(void*), void* argument);
  /// Gives the thread a kernel stack on which it returns to user mode with the registers of `frame` (fork, clone, exec of init).
  Result<void> prepare_user_return(const TrapFrame& frame);

  /// The user registers saved at the last entry from user mode; at the top of the kernel stack. Only for threads with user mode.
  [[nodiscard]] TrapFrame& trap_frame();

  /// User address space to load when switched in, or null (kernel threads). Set by the owner while the thread does not run, or by
  /// the thread itself through switch_space().
  AddressSpace* space = nullptr;
  /// return_to_user_work() has something to do (a Task: a signal that is not blocked waits, or the process stops or ends). Written under
  /// task/'s lock; here because every trap asks.
  std::atomic<bool> attention{false};
  /// The system calls below this number are called at once; the rest takes a longer way (a Task: shows itself to its tracer first). Changed
  /// by the thread itself.
  std::uint32_t direct_syscalls = kSyscallNumbers;
  /// Set by the thread itself, and by its CPU when it is switched in or interrupted for the sake of it.
  Sequence sequence = Sequence::kNone;
  /// FS base (thread pointer) and GS base of user mode; loaded at switch-in.
  std::uint64_t fs_base = 0, gs_base = 0;
  /// Loads both now. Current thread only, after changing them (arch_prctl, exec).
  void load_bases();
  /// Nanoseconds spent in user and kernel mode.
  std::atomic<std::uint64_t> user_ns{0}, kernel_ns{0};
  std::atomic<std::uint64_t> voluntary_switches{0}, involuntary_switches{0};
  /// Page faults resolved without and with I/O, those of user copies included.
  std::atomic<std::uint64_t> minor_faults{0}, major_faults{0};

  /// CPUs it may run on, as a bit mask; at least one that is online. Changed by restrict_thread().
  std::atomic<std::uint64_t> allowed_cpus{~std::uint64_t{0}};

  /// Copies the FPU state of the running thread into this one (fork). Pre: this one is prepared.
  void copy_fpu_from_current();
  /// FPU state as the 512-byte FXSAVE image, for signal frames. Current thread only.
  void save_fpu(void* fxsave_image);
  void restore_fpu(const void* fxsave_image);
  /// The whole state as Linux lays it out in a signal frame (uapi asm/sigcontext.h struct _xstate: FXSAVE image with
  /// software bytes, XSAVE area, closing magic), so that a handler may use AVX. Buffers of fpu_frame_size() bytes; aligned to 64
  /// in user memory. restore takes any bytes a program may have put there. Current thread only.
  static std::size_t fpu_frame_size();
  void save_fpu_frame(std::byte* to);
  void restore_fpu_frame(const std::byte* from);
  /// Initial FPU state (exec).
  void reset_fpu();

  /// Called on another stack after the thread called exit_thread() and can never run again.
  virtual void on_dead() {}
  /// Whether an interruptible sleep must end (a signal is pending). Called with the scheduler's lock held: must not sleep or lock.
  [[nodiscard]] virtual bool has_interruption() const { return false; }
  virtual const char* name() const { return "kthread"; }

  struct Internals;  ///< the scheduler's
  Internals* internals = nullptr;
};

/// The thread running on this CPU.
inline Thread& current_thread() { return *this_cpu_data().current; }
/// Puts a prepared thread on a run queue. Declares it an actor of its address space, if it has one.
void start_thread(Thread& thread);
/// Ends the current thread; its on_dead() runs later, in a thread that may sleep. Pre: it has left its address space:
/// switch_space(nullptr).
[[noreturn]] void exit_thread();
/// Gives up the CPU, staying runnable.
void yield_cpu();
/// Makes a thread that sleeps interruptibly look at has_interruption() again; makes one that runs in user mode enter the kernel soon.
void interrupt_thread(Thread& thread);
/// Interrupts the sequences of the threads that run on these CPUs, but for this one.
void interrupt_sequences(std::uint64_t cpus);
/// Ties a thread to the CPUs of a mask from its next return to user mode on; the current thread is on one of them when this returns.
/// Pre: the mask has an online CPU.
void restrict_thread(Thread& thread, std::uint64_t cpus);
/// Replaces the current thread's address space (exec, exit): loads `space` (null: the kernel's), maintains actors, and returns the old
/// one, which no CPU has loaded any more on this thread's account.
AddressSpace* switch_space(AddressSpace* space);
/// What a CPU has done since boot, a little old if it is another one.
struct CpuTimes {
  std::uint64_t user_ns = 0, kernel_ns = 0, idle_ns = 0, switches = 0;
};
CpuTimes cpu_times(unsigned cpu);
/// CPUs online, and the one this code runs on.
unsigned cpu_count();
unsigned this_cpu();

}  // namespace quire::kernel
