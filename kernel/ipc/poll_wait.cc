#include "ipc/poll_wait.h"

#include <type_traits>

#include "time/clock.h"

namespace quire::kernel {

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

/// The parts of both structures that carry a time, in the same unit.
std::int64_t fraction_ns(const __kernel_timespec& time) { return time.tv_nsec; }
std::int64_t fraction_ns(const __kernel_old_timeval& time) { return time.tv_usec * 1000; }
void set_fraction_ns(__kernel_timespec& time, std::int64_t ns) { time.tv_nsec = ns; }
void set_fraction_ns(__kernel_old_timeval& time, std::int64_t ns) { time.tv_usec = ns / 1000; }

}  // namespace

Result<unsigned> wait_for_events(std::span<PollEntry> entries, Deadline deadline) {
  Sleeper sleeper;
  bool enqueue = true, timed_out = false;
  for (;;) {
    unsigned ready = 0;
    for (PollEntry& entry : entries) {
      // With something ready there will be no sleep, so the rest need not know of the sleeper.
      if (entry.file)
        entry.ready = entry.file->poll(enqueue && ready == 0 ? &sleeper : nullptr) & entry.wanted;
      if (entry.ready != 0) ++ready;
    }
    enqueue = false;
    if (ready != 0 || timed_out) return ready;
    switch (sleeper.sleep(Interruptible::kYes, deadline)) {
      case WaitResult::kDone:
        break;
      case WaitResult::kTimedOut:
        timed_out = true;
        break;
      case WaitResult::kInterrupted:
        return fail(kRestartNoHand);
    }
  }
}

Deadline deadline_after(std::int64_t seconds, std::int64_t ns) {
  std::uint64_t relative = 0, deadline = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(seconds), std::uint64_t{kNsPerSecond},
                             &relative) ||
      __builtin_add_overflow(relative, static_cast<std::uint64_t>(ns), &relative) ||
      __builtin_add_overflow(monotonic_ns(), relative, &deadline)) {
    return kForever;
  }
  return deadline;
}

template <typename Time>
Result<UserTimeout<Time>> UserTimeout<Time>::read(UserAddr address) {
  UserTimeout timeout;
  if (address == 0) return timeout;
  QUIRE_TRY(const Time time, get_user<Time>(address));
  // man7 select(2) lets a timeval's fraction exceed a second (Linux v6.12
  // fs/select.c:kern_select()).
  const std::int64_t seconds = time.tv_sec + fraction_ns(time) / kNsPerSecond;
  const std::int64_t ns = fraction_ns(time) % kNsPerSecond;
  constexpr bool kMayExceed = std::is_same_v<Time, __kernel_old_timeval>;
  if (time.tv_sec < 0 || ns < 0 || (!kMayExceed && fraction_ns(time) >= kNsPerSecond))
    return fail(Errno::kInval);
  timeout.address_ = address;
  timeout.deadline_ = deadline_after(seconds, ns);
  return timeout;
}

template <typename Time>
void UserTimeout<Time>::write_back() const {
  if (address_ == 0) return;
  const std::uint64_t now = monotonic_ns();
  const auto left = static_cast<std::int64_t>(deadline_ > now ? deadline_ - now : 0);
  Time time{};
  time.tv_sec = left / kNsPerSecond;
  set_fraction_ns(time, left % kNsPerSecond);
  (void)put_user(address_, time);
}

template class UserTimeout<__kernel_timespec>;
template class UserTimeout<__kernel_old_timeval>;

Result<bool> set_call_signal_mask(UserAddr address, std::uint64_t size) {
  if (address == 0) return false;
  if (size != sizeof(SignalSet)) return fail(Errno::kInval);
  QUIRE_TRY(const SignalSet mask, get_user<SignalSet>(address));
  set_temporary_signal_mask(mask);
  return true;
}

}  // namespace quire::kernel
