// Clocks and timers.
#pragma once

#include <atomic>
#include <boost/intrusive/set_hook.hpp>
#include <cstdint>

namespace quire::kernel {

/// Nanoseconds since boot.
std::uint64_t monotonic_ns();
/// Nanoseconds since the Unix epoch.
std::uint64_t realtime_ns();
void set_realtime_ns(std::uint64_t now);
/// Sets the wall clock at boot: to `known_ns`, or by the CMOS clock if that is 0.
void init_realtime(std::uint64_t known_ns);

/// Calls `callback` once at or after a time, from the timer interrupt. Embedded in its owner, who sees to it that
/// arm() and cancel() do not run at the same time. The callback may arm it again, but not destroy it.
class Timer {
 public:
  explicit Timer(void (*callback)(void*), void* argument) : callback_(callback), argument_(argument) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  /// (Re)arms the timer for an absolute monotonic time.
  void arm(std::uint64_t deadline_ns);
  /// Disarms it; after the return the callback does not run.
  void cancel();

 private:
  friend class TimerQueue;
  void (*callback_)(void*);
  void* argument_;
  std::uint64_t deadline_ = 0;
  boost::intrusive::set_member_hook<> hook_;
  /// The CPU on whose queue the timer is or whose callback runs, or kIdle. Changes under that queue's lock.
  static constexpr unsigned kIdle = ~0U;
  std::atomic<unsigned> cpu_{kIdle};
};

}  // namespace quire::kernel
