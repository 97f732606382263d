// chmod(2), chown(2), utimensat(2), truncate(2) and their relatives.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/time_types.h>
#include <linux/utime.h>

#include "fs/attribute_ops.h"
#include "fs/syscalls/common.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kCwd = static_cast<std::uint64_t>(AT_FDCWD);
constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

SyscallResult chmod_at(std::uint64_t dirfd, UserAddr path, std::uint32_t mode,
                       std::uint32_t flags) {
  QUIRE_TRY(const RefPtr<Dentry> dentry,
            dentry_arg(dirfd, path, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
  // Links have no mode of their own to change. Linux v6.12 fs/attr.c:notify_change().
  if (dentry->is_symlink()) return fail(Errno::kOpNotSupp);
  return zero_or(change_mode(*dentry, mode));
}

SyscallResult sys_chmod(const SyscallArgs& args) {
  return chmod_at(kCwd, args.a[0], uint_arg(args.a[1]), 0);
}
SyscallResult sys_fchmodat(const SyscallArgs& args) {
  return chmod_at(args.a[0], args.a[1], uint_arg(args.a[2]), 0);
}
SyscallResult sys_fchmod(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Dentry> dentry, dentry_of_fd(args.a[0]));
  return zero_or(change_mode(*dentry, uint_arg(args.a[1])));
}

/// −1 leaves an id as it is.
std::optional<std::uint32_t> id_arg(std::uint64_t argument) {
  const std::uint32_t id = uint_arg(argument);
  return id == ~std::uint32_t{0} ? std::nullopt : std::optional(id);
}

SyscallResult chown_at(std::uint64_t dirfd, UserAddr path, std::uint64_t uid, std::uint64_t gid,
                       std::uint32_t flags) {
  QUIRE_TRY(const RefPtr<Dentry> dentry,
            dentry_arg(dirfd, path, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
  return zero_or(change_owner(*dentry, id_arg(uid), id_arg(gid)));
}

SyscallResult sys_chown(const SyscallArgs& args) {
  return chown_at(kCwd, args.a[0], args.a[1], args.a[2], 0);
}
SyscallResult sys_lchown(const SyscallArgs& args) {
  return chown_at(kCwd, args.a[0], args.a[1], args.a[2], AT_SYMLINK_NOFOLLOW);
}
SyscallResult sys_fchownat(const SyscallArgs& args) {
  return chown_at(args.a[0], args.a[1], args.a[2], args.a[3], uint_arg(args.a[4]));
}
SyscallResult sys_fchown(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Dentry> dentry, dentry_of_fd(args.a[0]));
  return zero_or(change_owner(*dentry, id_arg(args.a[1]), id_arg(args.a[2])));
}

struct TwoTimes {
  TimeChange access, modify;
};

/// Errors: EINVAL.
Result<TimeChange> time_change(std::int64_t seconds, std::int64_t nanoseconds) {
  constexpr std::int64_t kNow = 0x3fffffff,
                         kOmit = 0x3ffffffe;  // UTIME_NOW, UTIME_OMIT (man7 utimensat(2))
  if (nanoseconds == kNow) return TimeChange{};
  if (nanoseconds == kOmit) return TimeChange{.kind = TimeChange::Kind::kOmit};
  if (nanoseconds < 0 || nanoseconds >= kNanosecondsPerSecond) return fail(Errno::kInval);
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(seconds, kNanosecondsPerSecond, &ns) ||
      __builtin_add_overflow(ns, nanoseconds, &ns)) {
    return fail(Errno::kInval);
  }
  return TimeChange{.kind = TimeChange::Kind::kSet, .ns = ns};
}

Result<TwoTimes> timespecs_arg(UserAddr address) {
  if (address == 0) return TwoTimes{};
  QUIRE_TRY(const __kernel_timespec access, get_user<__kernel_timespec>(address));
  QUIRE_TRY(const __kernel_timespec modify, get_user<__kernel_timespec>(address + sizeof access));
  QUIRE_TRY(const TimeChange access_change, time_change(access.tv_sec, access.tv_nsec));
  QUIRE_TRY(const TimeChange modify_change, time_change(modify.tv_sec, modify.tv_nsec));
  return TwoTimes{.access = access_change, .modify = modify_change};
}

/// struct timeval; there are no special values. Errors: EINVAL, EFAULT.
Result<TimeChange> timeval_arg(UserAddr address) {
  QUIRE_TRY(const __kernel_old_timeval time, get_user<__kernel_old_timeval>(address));
  constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;
  if (time.tv_usec < 0 || time.tv_usec >= kMicrosecondsPerSecond) return fail(Errno::kInval);
  return time_change(time.tv_sec, time.tv_usec * 1000);
}

Result<TwoTimes> timevals_arg(UserAddr address) {
  if (address == 0) return TwoTimes{};
  QUIRE_TRY(const TimeChange access, timeval_arg(address));
  QUIRE_TRY(const TimeChange modify, timeval_arg(address + sizeof(__kernel_old_timeval)));
  return TwoTimes{.access = access, .modify = modify};
}

/// A null path means the descriptor itself. Linux v6.12 fs/utimes.c:do_utimes().
SyscallResult set_times_at(std::uint64_t dirfd, UserAddr path, const TwoTimes& times,
                           std::uint32_t flags) {
  if (path == 0 && int_arg(dirfd) != AT_FDCWD) {
    if (flags != 0) return fail(Errno::kInval);
    QUIRE_TRY(const RefPtr<Dentry> dentry, dentry_of_fd(dirfd));
    return zero_or(change_times(*dentry, times.access, times.modify));
  }
  QUIRE_TRY(const RefPtr<Dentry> dentry,
            dentry_arg(dirfd, path, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
  return zero_or(change_times(*dentry, times.access, times.modify));
}

SyscallResult sys_utimensat(const SyscallArgs& args) {
  QUIRE_TRY(const TwoTimes times, timespecs_arg(args.a[2]));
  if (times.access.kind == TimeChange::Kind::kOmit && times.modify.kind == TimeChange::Kind::kOmit)
    return 0;
  return set_times_at(args.a[0], args.a[1], times, uint_arg(args.a[3]));
}

SyscallResult sys_futimesat(const SyscallArgs& args) {
  QUIRE_TRY(const TwoTimes times, timevals_arg(args.a[2]));
  return set_times_at(args.a[0], args.a[1], times, 0);
}

SyscallResult sys_utimes(const SyscallArgs& args) {
  QUIRE_TRY(const TwoTimes times, timevals_arg(args.a[1]));
  return set_times_at(kCwd, args.a[0], times, 0);
}

SyscallResult sys_utime(const SyscallArgs& args) {
  TwoTimes times;
  if (args.a[1] != 0) {
    QUIRE_TRY(const utimbuf seconds, get_user<utimbuf>(args.a[1]));
    QUIRE_TRY(times.access, time_change(seconds.actime, 0));
    QUIRE_TRY(times.modify, time_change(seconds.modtime, 0));
  }
  return set_times_at(kCwd, args.a[0], times, 0);
}

SyscallResult sys_truncate(const SyscallArgs& args) {
  if (static_cast<std::int64_t>(args.a[1]) < 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<Dentry> dentry, dentry_arg(kCwd, args.a[0], 0, 0));
  return zero_or(truncate_path(*dentry, args.a[1]));
}

SyscallResult sys_ftruncate(const SyscallArgs& args) {
  if (static_cast<std::int64_t>(args.a[1]) < 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  return zero_or(truncate_file(*file, args.a[1]));
}

constexpr SyscallEntry kEntries[] = {
    {__NR_chmod, "chmod", sys_chmod},
    {__NR_fchmod, "fchmod", sys_fchmod},
    {__NR_fchmodat, "fchmodat", sys_fchmodat},
    {__NR_chown, "chown", sys_chown},
    {__NR_lchown, "lchown", sys_lchown},
    {__NR_fchown, "fchown", sys_fchown},
    {__NR_fchownat, "fchownat", sys_fchownat},
    {__NR_utimensat, "utimensat", sys_utimensat},
    {__NR_futimesat, "futimesat", sys_futimesat},
    {__NR_utimes, "utimes", sys_utimes},
    {__NR_utime, "utime", sys_utime},
    {__NR_truncate, "truncate", sys_truncate},
    {__NR_ftruncate, "ftruncate", sys_ftruncate},
};

}  // namespace

std::span<const SyscallEntry> attribute_syscalls() { return kEntries; }

}  // namespace quire::kernel
