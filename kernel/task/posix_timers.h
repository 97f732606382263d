// timer_create(2) and its relatives: any number of timers of a process, which send signals.
//
// Life cycle: made by the first timer_create, gone with the program (exec) or process. A timer has one signal on its way at most; what
// expires meanwhile is counted and told with it. Real-time signals need a node, which goes out with the signal and comes back when it is
// taken, because the interrupt cannot make one. Locks: `setting_` for whoever makes, sets or deletes one; what the interrupt and takers of
// signals touch is guarded by task_lock.
#pragma once

#include <memory>
#include <vector>

#include "task/process.h"
#include "time/clock.h"

namespace quire::kernel {

class PosixTimers {
 public:
  /// What timer_create asks for.
  struct Event {
    bool sends = true;
    int signal = 0;
    Pid tid = 0;  ///< 0: any task of the process
    std::uint64_t value = 0;
    bool value_is_id = false;
  };
  /// Nanoseconds; remaining 0: off.
  struct Setting {
    std::uint64_t remaining = 0, interval = 0;
  };

  explicit PosixTimers(Process& process);
  ~PosixTimers();

  /// The number of a new timer. Errors: EAGAIN (too many).
  Result<int> create(int clock, const Event& event);
  /// Errors: EINVAL (there is no such timer), for all of these.
  Result<void> remove(int id);
  /// `first` is the monotonic time of the first expiration, or 0: off. Returns the setting before.
  Result<Setting> set(int id, Deadline first, std::uint64_t interval);
  Result<Setting> get(int id);
  Result<int> overrun(int id);
  Result<int> clock_of(int id);

  /// A signal of timer `info.timer.id` is being taken: completes `info` and takes the node back. Locks: task_lock held.
  void on_taken_locked(SignalInfo& info, std::unique_ptr<QueuedSignal>& node);

 private:
  struct One;
  [[nodiscard]] One* find(int id);
  [[nodiscard]] Setting setting_of_locked(const One& timer) const;

  Process& process_;
  Mutex setting_;
  std::vector<std::unique_ptr<One>> timers_;  ///< by number; null: free. Written under both locks.
};

}  // namespace quire::kernel
