// close(2), dup(2), fcntl(2), ioctl(2): what concerns descriptors rather than files.
#include <asm/ioctls.h>
#include <asm/unistd.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "fs/file_locks.h"
#include "fs/permission.h"
#include "fs/syscalls/common.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

SyscallResult sys_close(const SyscallArgs& args) {
  return zero_or(current_files().close(int_arg(args.a[0])));
}

SyscallResult sys_close_range(const SyscallArgs& args) {
  const std::uint32_t first = uint_arg(args.a[0]), last = uint_arg(args.a[1]),
                      flags = uint_arg(args.a[2]);
  if ((flags & ~static_cast<std::uint32_t>(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0 ||
      first > last)
    return fail(Errno::kInval);
  FdTable& files = current_files();
  // A table of the caller's own needs no unsharing; giving a thread one is not there.
  if ((flags & CLOSE_RANGE_UNSHARE) != 0 && files.ref_count() > 1) return fail(Errno::kInval);
  for (const int fd : files.open_fds()) {
    if (static_cast<std::uint32_t>(fd) < first || static_cast<std::uint32_t>(fd) > last) continue;
    // One that another thread closes meanwhile is closed.
    if ((flags & CLOSE_RANGE_CLOEXEC) != 0) {
      static_cast<void>(files.set_close_on_exec_flag(fd, true));
    } else {
      static_cast<void>(files.close(fd));
    }
  }
  return 0;
}

SyscallResult duplicate(std::uint64_t fd, int lowest, bool close_on_exec) {
  QUIRE_TRY(RefPtr<File> file, any_file_arg(fd));
  QUIRE_TRY(const int copy, current_files().install(std::move(file), lowest, close_on_exec));
  return copy;
}

SyscallResult sys_dup(const SyscallArgs& args) { return duplicate(args.a[0], 0, false); }

SyscallResult duplicate_to(const SyscallArgs& args, bool close_on_exec) {
  QUIRE_TRY(const int copy,
            current_files().dup_to(int_arg(args.a[0]), int_arg(args.a[1]), close_on_exec));
  return copy;
}

SyscallResult sys_dup2(const SyscallArgs& args) {
  if (int_arg(args.a[0]) != int_arg(args.a[1])) return duplicate_to(args, false);
  QUIRE_CHECK(any_file_arg(args.a[0]));
  return int_arg(args.a[0]);
}

SyscallResult sys_dup3(const SyscallArgs& args) {
  const std::uint32_t flags = uint_arg(args.a[2]);
  if ((flags & ~static_cast<std::uint32_t>(O_CLOEXEC)) != 0) return fail(Errno::kInval);
  if (int_arg(args.a[0]) == int_arg(args.a[1])) return fail(Errno::kInval);
  return duplicate_to(args, flags != 0);
}

/// Linux v6.12 fs/fcntl.c:setfl().
SyscallResult set_status_flags(File& file, std::uint32_t wanted) {
  std::uint32_t settable = O_APPEND | O_NONBLOCK | O_NOATIME;
  const std::uint32_t now = file.flags.load();
  if (file.kind() != FileKind::kPipe) {  // of which it would say something else
    if ((wanted & O_DIRECT) != 0 && file.direct_alignment() == 0) return fail(Errno::kInval);
    settable |= O_DIRECT;
  }
  if ((wanted & O_NOATIME) != 0 && (now & O_NOATIME) == 0) {
    QUIRE_TRY(const Attributes attributes, file.attributes());
    if (!acts_as_owner(attributes, filesystem_identity())) return fail(Errno::kPerm);
  }
  file.flags = (now & ~settable) | (wanted & settable);
  return 0;
}

SyscallResult sys_fcntl(const SyscallArgs& args) {
  const int fd = int_arg(args.a[0]);
  FdTable& files = current_files();
  QUIRE_TRY(const RefPtr<File> file, any_file_arg(args.a[0]));
  const std::uint32_t command = uint_arg(args.a[1]);
  switch (command) {
    case F_DUPFD:
      return duplicate(args.a[0], int_arg(args.a[2]), false);
    case F_DUPFD_CLOEXEC:
      return duplicate(args.a[0], int_arg(args.a[2]), true);
    case F_GETFD: {
      QUIRE_TRY(const bool flag, files.close_on_exec_flag(fd));
      return flag ? FD_CLOEXEC : 0;
    }
    case F_SETFD:
      return zero_or(files.set_close_on_exec_flag(fd, (args.a[2] & FD_CLOEXEC) != 0));
    case F_GETFL:
      return file->flags.load();
    default:
      break;
  }
  // The rest is not for descriptors that only stand for a name.
  QUIRE_CHECK(file_arg(args.a[0]));
  switch (command) {
    case F_SETFL:
      return set_status_flags(*file, uint_arg(args.a[2]));
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return posix_lock_call(*file, command, args.a[2]);
    case F_GETPIPE_SZ:
    case F_SETPIPE_SZ:
    case F_ADD_SEALS:
    case F_GET_SEALS:
      return file->fcntl(command, args.a[2]);
    default:
      return fail(Errno::kInval);
  }
}

SyscallResult set_nonblocking(File& file, UserAddr address) {
  QUIRE_TRY(const int on, get_user<int>(address));
  if (on != 0) {
    file.flags.fetch_or(O_NONBLOCK);
  } else {
    file.flags.fetch_and(~static_cast<std::uint32_t>(O_NONBLOCK));
  }
  return 0;
}

/// FIONREAD of a regular file: what is left of it.
SyscallResult bytes_left(File& file, UserAddr address) {
  QUIRE_TRY(const Attributes now, file.attributes());
  Guard guard(file.position_lock);
  const std::uint64_t left = now.size - std::min(now.size, file.position);
  QUIRE_CHECK(put_user(address, static_cast<int>(std::min<std::uint64_t>(left, 0x7fffffff))));
  return 0;
}

SyscallResult sys_ioctl(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  const std::uint32_t command = uint_arg(args.a[1]);
  switch (command) {
    case FIOCLEX:
      return zero_or(current_files().set_close_on_exec_flag(int_arg(args.a[0]), true));
    case FIONCLEX:
      return zero_or(current_files().set_close_on_exec_flag(int_arg(args.a[0]), false));
    case FIONBIO:
      return set_nonblocking(*file, args.a[2]);
    case FIONREAD:
      if (file->dentry && file->dentry->type() == S_IFREG) return bytes_left(*file, args.a[2]);
      return file->ioctl(command, args.a[2]);
    default:
      return file->ioctl(command, args.a[2]);
  }
}

constexpr SyscallEntry kEntries[] = {
    {__NR_close, "close", sys_close}, {__NR_close_range, "close_range", sys_close_range},
    {__NR_dup, "dup", sys_dup},       {__NR_dup2, "dup2", sys_dup2},
    {__NR_dup3, "dup3", sys_dup3},    {__NR_fcntl, "fcntl", sys_fcntl},
    {__NR_ioctl, "ioctl", sys_ioctl},
};

}  // namespace

std::span<const SyscallEntry> descriptor_syscalls() { return kEntries; }

}  // namespace quire::kernel
