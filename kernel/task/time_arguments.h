// Times as programs pass them: struct timespec and timeval, checked, as nanoseconds.
#pragma once

#include <linux/time_types.h>

#include "mm/uaccess.h"
#include "sched/wait.h"

namespace quire::kernel {

inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

/// A non-negative, normalised struct timespec in nanoseconds; what is too long is kForever. Errors:
/// EINVAL, EFAULT.
Result<std::uint64_t> get_duration(UserAddr from);
/// The same without reading it. Errors: EINVAL.
Result<std::uint64_t> to_nanoseconds(const __kernel_timespec& time);
/// The same for seconds and microseconds (struct timeval). Errors: EINVAL.
Result<std::uint64_t> to_nanoseconds(const __kernel_old_timeval& time);
[[nodiscard]] __kernel_timespec to_timespec(std::uint64_t ns);
[[nodiscard]] __kernel_old_timeval to_timeval(std::uint64_t ns);
/// The monotonic time in `duration` nanoseconds; kForever if it is out of reach.
[[nodiscard]] Deadline deadline_after(std::uint64_t duration);
/// The monotonic time at which the wall clock will show `wall_time`; at once if that is past.
[[nodiscard]] Deadline monotonic_deadline(std::uint64_t wall_time);

}  // namespace quire::kernel
