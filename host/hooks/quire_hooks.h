// The inline half of core's seam (quire/platform.h), hosted version: yield points for a
// deterministic scheduler and the run-time check of the lock order.
//
// With QUIRE_HOOKS=1 a yield point calls the scheduler of this thread, if one is set, and every
// lock taken is compared with those this thread holds already: ranks ascend, equal ranks by
// ascending key (docs/LOCKS.md). Without it everything here is empty. It does not know what the
// locks protect, and it keeps no state shared between threads.
#pragma once

#include <atomic>
#include <cstdint>

namespace quire::hooks {

/// Decides which of several threads runs. Installed per thread by a test; see tests/explore/.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// This thread is about to do `what` to `where`; returns when it may.
  virtual void yield(const char* what, const void* where) = 0;
  /// Stands in for platform::wait and platform::wake.
  virtual void wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) = 0;
  virtual void wake(const std::atomic<std::uint32_t>& word) = 0;
};

#if defined(QUIRE_HOOKS) && QUIRE_HOOKS

namespace detail {
inline constinit thread_local Scheduler* scheduler = nullptr;
/// Defined in host/quire/host/lock_check.cc.
void acquired(unsigned rank, std::uint64_t key, const void* lock);
void released(const void* lock);
void must_not_hold_tables(const char* what);
}  // namespace detail

/// The scheduler of this thread from now on; null for none. Returns the one before.
inline Scheduler* set_scheduler(Scheduler* scheduler) {
  Scheduler* const before = detail::scheduler;
  detail::scheduler = scheduler;
  return before;
}
[[nodiscard]] inline Scheduler* scheduler() { return detail::scheduler; }

/// A place where another thread may run: before each lock, shared atomic and call of the platform.
inline void yield_point(const char* what, const void* where) {
  if (detail::scheduler != nullptr) [[unlikely]]
    detail::scheduler->yield(what, where);
}

/// This thread has taken `lock`. Reports a broken order by assertion.
inline void lock_acquired(unsigned rank, std::uint64_t key, const void* lock) {
  detail::acquired(rank, key, lock);
}
inline void lock_released(const void* lock) { detail::released(lock); }

/// `what` waits or allocates: no table lock may be held (design.md section 4, rule 13).
inline void may_sleep(const char* what) { detail::must_not_hold_tables(what); }

#else

inline void yield_point(const char*, const void*) {}
inline void lock_acquired(unsigned, std::uint64_t, const void*) {}
inline void lock_released(const void*) {}

#endif

}  // namespace quire::hooks
