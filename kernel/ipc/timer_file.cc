// timerfd: a timer as a file. Behaviour: man7 timerfd_create(2); Linux v6.12 fs/timerfd.c.
//
// The kernel's timer is armed for the next expiration only, and again when somebody reads or asks: what expired in between is counted from
// the time that passed. Locks: `setting_` for whoever arms or disarms; `lock_` for the values, which the interrupt changes too.
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/timerfd.h>
#include <time.h>

#include "fs/dentry.h"
#include "ipc/anonymous_inode.h"
#include "ipc/calls.h"
#include "task/task.h"
#include "task/time_arguments.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

/// struct __kernel_itimerspec.
struct TimerSetting {
  __kernel_timespec interval, value;
};

class TimerFile final : public File {
 public:
  TimerFile(int clock, std::uint32_t creation_flags) : clock_(clock), timer_(&fire, this) {
    const Credentials& owner = current_credentials();
    inode = make_ref<AnonymousInode>(0600U, owner.fsuid, owner.fsgid);
    flags = O_RDWR | (creation_flags & TFD_NONBLOCK);
  }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    std::uint64_t count = 0;
    if (buffer.size() < sizeof count) return fail(Errno::kInval);
    const auto take = [&] {
      const Guard setting(setting_);
      count = take_expirations();
      return count != 0;
    };
    if (!take()) {
      if (nonblocking()) return fail(Errno::kAgain);
      if (wait_until(readers_, take, Interruptible::kYes) != WaitResult::kDone) return fail(kRestartSys);
    }
    QUIRE_CHECK(buffer.copy_out(&count, sizeof count));
    return sizeof count;
  }

  PollMask poll(Listener* listener) override {
    if (listener != nullptr) listener->add(readers_);
    const Guard guard(lock_);
    return expired_ ? POLLIN : 0;
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  [[nodiscard]] FileKind kind() const override { return FileKind::kTimer; }
  [[nodiscard]] std::string anonymous_name() const override { return "anon_inode:[timerfd]"; }

  TimerSetting get() {
    const Guard setting(setting_);
    return setting_now();
  }

  /// `value` is absolute if TFD_TIMER_ABSTIME is in `set_flags`. Returns the setting before.
  TimerSetting set(std::uint64_t value, std::uint64_t interval, std::uint32_t set_flags) {
    const Guard setting(setting_);
    const TimerSetting before = setting_now();
    timer_.cancel();
    Deadline next = 0;
    if (value != 0) {
      const bool absolute = (set_flags & TFD_TIMER_ABSTIME) != 0;
      next = !absolute ? deadline_after(value) : is_wall_clock() ? monotonic_deadline(value) : value;
    }
    {
      const Guard guard(lock_);
      expired_ = false;
      next_ = next;
      interval_ = interval;
    }
    if (next != 0) timer_.arm(next);
    return before;
  }

 protected:
  ~TimerFile() override { timer_.cancel(); }

 private:
  static void fire(void* self) {
    TimerFile& file = *static_cast<TimerFile*>(self);
    {
      const Guard guard(file.lock_);
      file.expired_ = true;
    }
    file.readers_.wake_all(POLLIN);
  }

  [[nodiscard]] bool is_wall_clock() const { return clock_ == CLOCK_REALTIME || clock_ == CLOCK_REALTIME_ALARM; }

  /// Counts expirations since the last time and arms the timer for the next. Locks: `setting_`.
  std::uint64_t take_expirations() {
    std::uint64_t count = 0;
    Deadline next = 0;
    {
      const Guard guard(lock_);
      if (!expired_) return 0;
      expired_ = false;
      count = advance_locked(next_, next);
      next_ = next;
    }
    if (next != 0) timer_.arm(next);
    return count;
  }

  /// Expirations from `first` on, at least that one, and the first to come: 0 if there is none.
  [[nodiscard]] std::uint64_t advance_locked(Deadline first, Deadline& next) const {
    next = 0;
    if (interval_ == 0) return 1;
    const std::uint64_t now = monotonic_ns();
    const std::uint64_t count = 1 + (now > first ? (now - first) / interval_ : 0);
    next = first + count * interval_;
    return count;
  }

  /// Locks: `setting_`.
  TimerSetting setting_now() {
    const Guard guard(lock_);
    Deadline next = next_;
    if (expired_) static_cast<void>(advance_locked(next_, next));
    const std::uint64_t now = monotonic_ns();
    // One that is due but has not been told yet must not look disarmed.
    const std::uint64_t left = next == 0 ? 0 : next > now ? next - now : 1;
    return {to_timespec(interval_), to_timespec(left)};
  }

  const int clock_;
  Mutex setting_;
  IrqSpinLock lock_;
  Deadline next_ = 0;  ///< on the monotonic clock; 0: disarmed
  std::uint64_t interval_ = 0;
  bool expired_ = false;
  WaitQueue readers_;
  Timer timer_;
};

Result<RefPtr<File>> timer_argument(std::uint64_t fd) {
  QUIRE_TRY(RefPtr<File> file, current_files().get(static_cast<std::int32_t>(fd)));
  if (file->kind() != FileKind::kTimer) return fail(Errno::kInval);
  return file;
}

}  // namespace

SyscallResult sys_timerfd_create(const SyscallArgs& args) {
  const auto clock = static_cast<std::int32_t>(args.a[0]);
  const auto flags = static_cast<std::uint32_t>(args.a[1]);
  if ((flags & ~std::uint32_t{TFD_CLOEXEC | TFD_NONBLOCK}) != 0) return fail(Errno::kInval);
  const bool wakes = clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && !wakes) return fail(Errno::kInval);
  if (wakes && !current_credentials().can(CAP_WAKE_ALARM)) return fail(Errno::kPerm);
  QUIRE_TRY(const int fd, current_files().install(make_ref<TimerFile>(clock, flags), 0, (flags & TFD_CLOEXEC) != 0));
  return fd;
}

SyscallResult sys_timerfd_settime(const SyscallArgs& args) {
  const auto flags = static_cast<std::uint32_t>(args.a[1]);
  QUIRE_TRY(const TimerSetting wanted, get_user<TimerSetting>(args.a[2]));
  // TFD_TIMER_CANCEL_ON_SET is not there.
  if ((flags & ~std::uint32_t{TFD_TIMER_ABSTIME}) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const std::uint64_t value, to_nanoseconds(wanted.value));
  QUIRE_TRY(const std::uint64_t interval, to_nanoseconds(wanted.interval));
  QUIRE_TRY(const RefPtr<File> file, timer_argument(args.a[0]));
  const TimerSetting before = static_cast<TimerFile&>(*file).set(value, interval, flags);
  if (args.a[3] != 0) QUIRE_CHECK(put_user(args.a[3], before));
  return 0;
}

SyscallResult sys_timerfd_gettime(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, timer_argument(args.a[0]));
  QUIRE_CHECK(put_user(args.a[1], static_cast<TimerFile&>(*file).get()));
  return 0;
}

}  // namespace quire::kernel
