#include "task/time_arguments.h"

#include "time/clock.h"

namespace quire::kernel {

namespace {

Result<std::uint64_t> scale(std::int64_t seconds, std::int64_t fraction, std::int64_t per_second) {
  if (seconds < 0 || fraction < 0 || fraction >= per_second) return fail(Errno::kInval);
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole >= kForever / kNsPerSecond - 1) return kForever;
  return whole * kNsPerSecond + static_cast<std::uint64_t>(fraction) *
                                    (kNsPerSecond / static_cast<std::uint64_t>(per_second));
}

}  // namespace

Result<std::uint64_t> to_nanoseconds(const __kernel_timespec& time) {
  return scale(time.tv_sec, time.tv_nsec, 1'000'000'000);
}

Result<std::uint64_t> to_nanoseconds(const __kernel_old_timeval& time) {
  return scale(time.tv_sec, time.tv_usec, 1'000'000);
}

Result<std::uint64_t> get_duration(UserAddr from) {
  QUIRE_TRY(const auto time, get_user<__kernel_timespec>(from));
  return to_nanoseconds(time);
}

__kernel_timespec to_timespec(std::uint64_t ns) {
  return {.tv_sec = static_cast<__kernel_time64_t>(ns / kNsPerSecond),
          .tv_nsec = static_cast<long long>(ns % kNsPerSecond)};
}

__kernel_old_timeval to_timeval(std::uint64_t ns) {
  return {.tv_sec = static_cast<__kernel_long_t>(ns / kNsPerSecond),
          .tv_usec = static_cast<__kernel_long_t>(ns % kNsPerSecond / 1000)};
}

Deadline deadline_after(std::uint64_t duration) {
  std::uint64_t deadline = 0;
  return __builtin_add_overflow(monotonic_ns(), duration, &deadline) ? kForever : deadline;
}

Deadline monotonic_deadline(std::uint64_t wall_time) {
  if (wall_time == kForever) return kForever;
  const std::uint64_t now = realtime_ns();
  return deadline_after(wall_time > now ? wall_time - now : 0);
}

}  // namespace quire::kernel
