// Clocks and timers.
#pragma once

#include <cstdint>

namespace quire::kernel {

/// Nanoseconds since boot.
std::uint64_t monotonic_ns();
/// Nanoseconds since the Unix epoch.
std::uint64_t realtime_ns();
void set_realtime_ns(std::uint64_t now);

/// Calls `callback` once at or after a time, from the timer interrupt. Embedded in its owner.
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
  friend struct TimerWheel;
  void (*callback_)(void*);
  void* argument_;
  std::uint64_t deadline_ = 0;
  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  unsigned cpu_ = 0;
  bool armed_ = false;
};

}  // namespace quire::kernel
