#include "quire/base/lock.h"

#include "quire/platform.h"

namespace quire {

void SpinLock::spin() {
  do {
    while (held_.load_relaxed() != 0) platform::relax();
  } while (held_.exchange(1) != 0);
}

// Linux v6.12 kernel/locking/rwsem.c is fairer; here a writer that waits sets kWaiting, which keeps new readers out until the
// word has been empty once.
void RwLock::lock() {
  hooks::yield_point("rwlock", this);
  std::uint32_t seen = state_.load(std::memory_order_relaxed);
  for (;;) {
    if ((seen & ~kWaiting) == 0) {
      // kWaiting stays: whoever sleeps must be woken by our release.
      if (state_.compare_exchange_strong(seen, seen | kWriter)) break;
      continue;
    }
    if ((seen & kWaiting) == 0) {
      if (!state_.compare_exchange_strong(seen, seen | kWaiting)) continue;
      seen |= kWaiting;
    }
    platform::wait(state_, seen);
    hooks::yield_point("rwlock", this);
    seen = state_.load(std::memory_order_relaxed);
  }
  hooks::lock_acquired(static_cast<unsigned>(LockRank::kMm), reinterpret_cast<std::uint64_t>(this), this);
}

void RwLock::unlock() {
  hooks::lock_released(this);
  hooks::yield_point("rwunlock", this);
  if ((state_.exchange(0) & kWaiting) != 0) platform::wake(state_);
}

void RwLock::lock_shared() {
  hooks::yield_point("rwlock_shared", this);
  std::uint32_t seen = state_.load(std::memory_order_relaxed);
  for (;;) {
    if ((seen & (kWriter | kWaiting)) == 0) {
      if (state_.compare_exchange_weak(seen, seen + 1)) break;
      continue;
    }
    if ((seen & kWaiting) != 0 && (seen & ~kWaiting) == 0) {
      // Nobody holds it: the last holder has cleared or will clear the bit; take it and wake the rest on release.
      if (state_.compare_exchange_weak(seen, kWaiting + 1)) break;
      continue;
    }
    if ((seen & kWaiting) != 0 || state_.compare_exchange_weak(seen, seen | kWaiting)) {
      platform::wait(state_, seen | kWaiting);
    }
    hooks::yield_point("rwlock_shared", this);
    seen = state_.load(std::memory_order_relaxed);
  }
  hooks::lock_acquired(static_cast<unsigned>(LockRank::kMm), reinterpret_cast<std::uint64_t>(this), this);
}

void RwLock::unlock_shared() {
  hooks::lock_released(this);
  hooks::yield_point("rwunlock_shared", this);
  const std::uint32_t before = state_.fetch_sub(1);
  if (before == (kWaiting | 1U)) {
    // Last reader with sleepers: empty the word, then let all try.
    std::uint32_t waiting = kWaiting;
    if (state_.compare_exchange_strong(waiting, 0)) platform::wake(state_);
  }
}

}  // namespace quire
