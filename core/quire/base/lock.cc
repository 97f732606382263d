#include "quire/base/lock.h"

#include "quire/platform.h"

namespace quire {

void SpinLock::spin() {
  do {
    while (held_.load_relaxed() != 0) platform::relax();
  } while (__atomic_exchange_n(&held_.value_, 1U, __ATOMIC_ACQUIRE) != 0);
}

// Linux v6.12 kernel/locking/rwsem.c is fairer; here a writer that waits sets kWaiting, which keeps new readers out until the
// word has been empty once.
void RwLock::lock() {
  std::uint32_t seen = look();
  for (;;) {
    if ((seen & ~kWaiting) == 0) {
      // kWaiting stays: whoever sleeps must be woken by our release.
      if (change(seen, seen | kWriter)) break;
      continue;
    }
    if ((seen & kWaiting) == 0) {
      if (!change(seen, seen | kWaiting)) continue;
      seen |= kWaiting;
    }
    platform::wait(state_, seen);
    seen = look();
  }
  hooks::lock_acquired(static_cast<unsigned>(rank_), reinterpret_cast<std::uint64_t>(this), this);
}

void RwLock::unlock() {
  hooks::lock_released(this);
  hooks::yield_point("rw_leave", &state_);
  if ((state_.exchange(0) & kWaiting) != 0) platform::wake(state_);
}

void RwLock::wait_shared() {
  std::uint32_t seen = look();
  for (;;) {
    if ((seen & (kWriter | kWaiting)) == 0) {
      if (change(seen, seen + 1)) return;
      continue;
    }
    if ((seen & kWaiting) != 0 && (seen & ~kWaiting) == 0) {
      // Nobody holds it: the last holder has cleared or will clear the bit; take it and wake the rest on release.
      if (change(seen, kWaiting + 1)) return;
      continue;
    }
    if ((seen & kWaiting) != 0 || change(seen, seen | kWaiting)) {
      platform::wait(state_, seen | kWaiting);
    }
    seen = look();
  }
}

void RwLock::wake_waiting() {
  // Empty the word, then let all try.
  std::uint32_t waiting = kWaiting;
  if (change(waiting, 0)) platform::wake(state_);
}

}  // namespace quire
