// The three interval timers of a process: real time, user CPU time, all CPU time.
//
// Life cycle: made by the first setitimer, gone with the process. The real one is a kernel timer.
// The CPU-time ones are too: as CPU time passes at most as fast as real time on each CPU, a timer
// that comes at the earliest possible moment and is put off while the process has not used enough
// is exact to the accounting's grain, and costs nothing to processes without one. Locks: `setting`
// for whoever sets one; the values themselves are guarded by task_lock, because the callbacks run
// in interrupts.
#pragma once

#include <cstdint>

#include "sync/lock.h"
#include "task/process.h"
#include "time/clock.h"

namespace quire::kernel {

class IntervalTimers {
 public:
  explicit IntervalTimers(Process& process);

  /// Nanoseconds; 0: off, or once.
  struct Setting {
    std::uint64_t remaining = 0, interval = 0;
  };
  /// `which` is ITIMER_*.
  Setting get(int which);
  /// Returns the setting before.
  Setting set(int which, const Setting& wanted);

 private:
  struct One {
    One(IntervalTimers& its_owner, int kind, int its_signal)
        : owner(its_owner), which(kind), signal(its_signal), timer(&fire, this) {}
    static void fire(void* self);
    IntervalTimers& owner;
    const int which;
    const int signal;
    Timer timer;
    std::uint64_t expiry = 0;  ///< on its own clock; 0: off
    std::uint64_t interval = 0;
  };
  [[nodiscard]] One& one(int which);
  [[nodiscard]] std::uint64_t now_locked(int which) const;
  /// When to look again whether `expiry` has come.
  [[nodiscard]] static std::uint64_t wake_up_time(int which, std::uint64_t remaining);
  [[nodiscard]] Setting remaining_locked(const One& timer) const;

  Process& process_;
  Mutex setting_;
  One real_, virtual_, profile_;
};

}  // namespace quire::kernel
