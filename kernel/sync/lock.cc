#include "sync/lock.h"

#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/interrupts.h"
#include "arch/registers.h"
#include "quire/platform.h"

namespace quire::kernel {
namespace {

// Of a Mutex, and of a spin lock; of that, kContended says that a CPU halts until it is given back.
constexpr std::uint32_t kFree = 0, kHeld = 1, kContended = 2;

enum class MayHalt : std::uint8_t { kNo, kYes };

/// CPUs that halt until some spin lock is given back. Each sets its bit before it marks the lock.
constinit std::atomic<std::uint64_t> halted_cpus{0};

bool try_acquire(std::atomic<std::uint32_t>& held) {
  std::uint32_t expected = kFree;
  return held.compare_exchange_strong(expected, kHeld, std::memory_order_acquire);
}

/// Halts until a lock is given back, if `held` is not by now. Interrupts are as before afterwards.
void halt_while_held(std::atomic<std::uint32_t>& held) {
  const InterruptsOff off;
  const std::uint64_t self = std::uint64_t{1} << this_cpu_data().index;
  halted_cpus.fetch_or(self);
  std::uint32_t seen = kHeld;
  held.compare_exchange_strong(seen, kContended);
  // Whoever gives it back from now on sends an interrupt, which waits until the halt.
  if (held.load() == kContended) {
    enable_interrupts_and_halt();
    disable_interrupts();
  }
  halted_cpus.fetch_and(~self);
}

/// The holder has a short way to go, unless it is a virtual CPU that the host does not run just now: then spinning would only take the
/// host's processor from it.
void wait_to_acquire(std::atomic<std::uint32_t>& held, MayHalt may_halt) {
  constexpr int kSpins = 100;
  for (;;) {
    for (int i = 0; i < kSpins; ++i) {
      if (held.load(std::memory_order_relaxed) == kFree && try_acquire(held)) return;
      platform::relax();
    }
    if (may_halt == MayHalt::kYes) halt_while_held(held);
  }
}

void release(std::atomic<std::uint32_t>& held) {
  if (held.exchange(kFree, std::memory_order_seq_cst) != kContended) return;
  const std::uint64_t others = halted_cpus.load() & ~(std::uint64_t{1} << this_cpu_data().index);
  if (others != 0) send_interrupt_to(others, kRescheduleVector);
}

}  // namespace

void SpinLock::lock() {
  if (!try_acquire(held_)) wait_to_acquire(held_, interrupts_enabled() ? MayHalt::kYes : MayHalt::kNo);
}
void SpinLock::unlock() { release(held_); }
bool SpinLock::try_lock() { return try_acquire(held_); }

void IrqSpinLock::lock() {
  const std::uint64_t flags = save_and_disable_interrupts();
  if (!try_acquire(held_)) wait_to_acquire(held_, (flags & kFlagInterrupt) != 0 ? MayHalt::kYes : MayHalt::kNo);
  saved_flags_ = flags;
}
void IrqSpinLock::unlock() {
  const std::uint64_t flags = saved_flags_;
  release(held_);
  restore_interrupts(flags);
}

void Mutex::lock() {
  std::uint32_t expected = kFree;
  if (state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return;
  while (state_.exchange(kContended, std::memory_order_acquire) != kFree) platform::wait(state_, kContended);
}
bool Mutex::try_lock() {
  std::uint32_t expected = kFree;
  return state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire);
}
void Mutex::unlock() {
  if (state_.exchange(kFree, std::memory_order_release) == kContended) platform::wake(state_);
}

}  // namespace quire::kernel
