// The kernel's own locks (core brings its own, quire/base/lock.h).
//
// The kernel is preempted only in user mode: kernel code runs until it sleeps or returns. A SpinLock is therefore held by code that
// does not sleep, and taken with interrupts on; data that interrupt handlers touch take an IrqSpinLock. Spinning answers shootdowns.
#pragma once

#include <atomic>
#include <cstdint>

namespace quire::kernel {

class SpinLock {
 public:
  void lock();
  void unlock();
  [[nodiscard]] bool try_lock();

 private:
  std::atomic<std::uint32_t> held_{0};
};

/// Disables interrupts on this CPU while held.
class IrqSpinLock {
 public:
  void lock();
  void unlock();

 private:
  std::atomic<std::uint32_t> held_{0};
  std::uint64_t saved_flags_ = 0;
};

/// Sleeps while held by another thread. Uninterruptible.
class Mutex {
 public:
  void lock();
  [[nodiscard]] bool try_lock();
  void unlock();

 private:
  std::atomic<std::uint32_t> state_{0};  // 0 free, 1 held, 2 held with waiters
};

template <typename Lock>
class [[nodiscard]] Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Guard() { lock_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace quire::kernel
