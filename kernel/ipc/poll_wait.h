// Waiting for events of many files: what poll and select share.
//
// No state of its own: entries live for one call and hold their files, on whose queues the sleeper
// stays until the call ends.
#pragma once

#include <linux/time_types.h>

#include <cstdint>
#include <span>

#include "fs/vfs.h"
#include "mm/uaccess.h"
#include "sched/wait.h"
#include "syscall/syscall.h"
#include "task/task.h"

namespace quire::kernel {

/// One file of a poll: `wanted` events, and those found `ready`. Without a file `ready` is as the
/// caller set it.
struct PollEntry {
  RefPtr<File> file;
  PollMask wanted = 0, ready = 0;
};

/// Waits until an entry is ready or the deadline has passed, and returns how many are. Errors:
/// kRestartNoHand.
Result<unsigned> wait_for_events(std::span<PollEntry> entries, Deadline deadline);

/// A relative timeout a program gave, as a deadline that can be told back to it as time left.
template <typename Time>  // struct __kernel_timespec or struct __kernel_old_timeval
class UserTimeout {
 public:
  /// A null pointer waits for ever. Errors: EFAULT, EINVAL.
  static Result<UserTimeout> read(UserAddr address);
  [[nodiscard]] Deadline deadline() const { return deadline_; }
  /// Linux tells what is left, and a restarted call relies on it; failing to is not an error (Linux
  /// v6.12 fs/select.c:poll_select_finish()).
  void write_back() const;

 private:
  UserAddr address_ = 0;
  Deadline deadline_ = kForever;
};
using TimespecTimeout = UserTimeout<__kernel_timespec>;
using TimevalTimeout = UserTimeout<__kernel_old_timeval>;

/// Now plus a time, neither of them negative.
Deadline deadline_after(std::int64_t seconds, std::int64_t ns);

/// The signal mask of ppoll, pselect6 and epoll_pwait: blocks what is at `address` until
/// finish_call_signal_mask(). False: null, no mask. Errors: EFAULT, EINVAL (`size` is not that of a
/// mask).
Result<bool> set_call_signal_mask(UserAddr address, std::uint64_t size);
/// Ends it, unless a signal is to be delivered under it first: then the delivery restores the mask.
template <typename T>
Result<T> finish_call_signal_mask(bool was_set, Result<T> result) {
  if (was_set && (result || result.error() != kRestartNoHand)) restore_signal_mask();
  return result;
}

}  // namespace quire::kernel
