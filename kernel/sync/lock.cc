#include "sync/lock.h"

#include "arch/registers.h"
#include "quire/platform.h"

namespace quire::kernel {
namespace {

void acquire(std::atomic<std::uint32_t>& held) {
  while (held.exchange(1, std::memory_order_acquire) != 0) {
    while (held.load(std::memory_order_relaxed) != 0) platform::relax();
  }
}

constexpr std::uint32_t kFree = 0, kHeld = 1, kContended = 2;

}  // namespace

void SpinLock::lock() { acquire(held_); }
void SpinLock::unlock() { held_.store(0, std::memory_order_release); }
bool SpinLock::try_lock() { return held_.exchange(1, std::memory_order_acquire) == 0; }

void IrqSpinLock::lock() {
  const std::uint64_t flags = save_and_disable_interrupts();
  acquire(held_);
  saved_flags_ = flags;
}
void IrqSpinLock::unlock() {
  const std::uint64_t flags = saved_flags_;
  held_.store(0, std::memory_order_release);
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
