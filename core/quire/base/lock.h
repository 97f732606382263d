// Locks with ranks: a spin lock for tables and pools, a sleeping reader-writer lock for address spaces.
//
// base/lock_order.def is the one source of the order: the enum here, docs/LOCKS.md and the run-time check of test builds come from
// it. Same rank only in ascending key. The TA_ macros are clang's thread-safety attributes (preset `locks`).
#pragma once

#include <quire_hooks.h>

#include <atomic>

#include <cstdint>

#include "quire/base/atomic.h"

#if defined(__clang__)
#define TA_ATTRIBUTE(x) __attribute__((x))
#else
#define TA_ATTRIBUTE(x)
#endif
#define TA_CAPABILITY(name) TA_ATTRIBUTE(capability(name))
#define TA_SCOPED TA_ATTRIBUTE(scoped_lockable)
#define TA_GUARDED(lock) TA_ATTRIBUTE(guarded_by(lock))
#define TA_REQ(...) TA_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define TA_REQ_SHARED(...) TA_ATTRIBUTE(requires_shared_capability(__VA_ARGS__))
#define TA_EXCL(...) TA_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define TA_ACQ(...) TA_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define TA_ACQ_SHARED(...) TA_ATTRIBUTE(acquire_shared_capability(__VA_ARGS__))
#define TA_REL(...) TA_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TA_REL_SHARED(...) TA_ATTRIBUTE(release_shared_capability(__VA_ARGS__))
#define TA_REL_ANY(...) TA_ATTRIBUTE(release_generic_capability(__VA_ARGS__))

namespace quire {

/// Rank in the lock order; lower ranks are taken first.
enum class LockRank : std::uint8_t {
#define QUIRE_LOCK(name, protects) name,
#include "quire/base/lock_order.def"
#undef QUIRE_LOCK
};

/// A spin lock in four bytes that may live in zero-filled memory. Rank and key come with each acquisition (SpinGuard) because the
/// same word of a descriptor serves different kinds of frame.
class TA_CAPABILITY("spin lock") SpinLock {
 public:
  void lock(LockRank rank, std::uint64_t key) TA_ACQ() {
    hooks::yield_point("lock", &held_);  // labels of their own: the explorer runs nobody into a lock that is held
    if (__atomic_exchange_n(&held_.value_, 1U, __ATOMIC_ACQUIRE) != 0) spin();
    hooks::lock_acquired(static_cast<unsigned>(rank), key, this);
  }
  void unlock() TA_REL() {
    hooks::lock_released(this);
    hooks::yield_point("unlock", &held_);
    __atomic_store_n(&held_.value_, 0U, __ATOMIC_RELEASE);
  }

 private:
  /// Waits until it is ours.
  void spin();
  Atomic<std::uint32_t> held_{0};
};

/// Holds a SpinLock for a scope.
class TA_SCOPED [[nodiscard]] SpinGuard {
 public:
  SpinGuard(SpinLock& lock, LockRank rank, std::uint64_t key = 0) TA_ACQ(lock) : lock_(&lock) { lock.lock(rank, key); }
  ~SpinGuard() TA_REL() { lock_->unlock(); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  SpinLock* lock_;
};

/// A reader-writer lock that sleeps (platform::wait). Writers are not starved: a waiting writer stops new readers.
class TA_CAPABILITY("reader-writer lock") RwLock {
 public:
  explicit RwLock(LockRank rank = LockRank::kMm) : rank_(rank) {}
  void lock() TA_ACQ();
  void unlock() TA_REL();
  void lock_shared() TA_ACQ_SHARED() {
    std::uint32_t seen = look();
    if ((seen & (kWriter | kWaiting)) != 0 || !change(seen, seen + 1)) wait_shared();
    hooks::lock_acquired(static_cast<unsigned>(rank_), reinterpret_cast<std::uint64_t>(this), this);
  }
  void unlock_shared() TA_REL_SHARED() {
    hooks::lock_released(this);
    hooks::yield_point("rw_leave", &state_);
    if (state_.fetch_sub(1) == (kWaiting | 1U)) wake_waiting();
  }
  /// Whether anybody holds it. For assertions.
  [[nodiscard]] bool is_held() const { return (state_.load(std::memory_order_relaxed) & ~kWaiting) != 0; }

 private:
  /// Becomes a reader once that can be.
  void wait_shared();
  /// The last reader has left, and somebody sleeps.
  void wake_waiting();
  [[nodiscard]] std::uint32_t look() const {
    hooks::yield_point("rw_look", &state_);
    return state_.load(std::memory_order_relaxed);
  }
  /// Puts `to` in place of `seen`; if it is not there, `seen` becomes what is.
  [[nodiscard]] bool change(std::uint32_t& seen, std::uint32_t to) {
    hooks::yield_point("rw_change", &state_);
    return state_.compare_exchange_strong(seen, to);
  }

  static constexpr std::uint32_t kWriter = 1U << 31, kWaiting = 1U << 30, kReaders = kWaiting - 1;
  /// kWriter: held exclusively; kWaiting: somebody sleeps; low bits: readers.
  std::atomic<std::uint32_t> state_{0};
  const LockRank rank_;
};

class TA_SCOPED [[nodiscard]] ExclusiveGuard {
 public:
  explicit ExclusiveGuard(RwLock& lock) TA_ACQ(lock) : lock_(lock) { lock_.lock(); }
  ~ExclusiveGuard() TA_REL() { lock_.unlock(); }
  ExclusiveGuard(const ExclusiveGuard&) = delete;
  ExclusiveGuard& operator=(const ExclusiveGuard&) = delete;

 private:
  RwLock& lock_;
};

class TA_SCOPED [[nodiscard]] SharedGuard {
 public:
  explicit SharedGuard(RwLock& lock) TA_ACQ_SHARED(lock) : lock_(lock) { lock_.lock_shared(); }
  ~SharedGuard() TA_REL_ANY() { lock_.unlock_shared(); }
  SharedGuard(const SharedGuard&) = delete;
  SharedGuard& operator=(const SharedGuard&) = delete;

 private:
  RwLock& lock_;
};

}  // namespace quire
