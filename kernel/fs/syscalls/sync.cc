// fsync(2), sync(2), sync_file_range(2), fallocate(2), posix_fadvise(2), readahead(2), and the mount
// calls that are not for programs here.
#include <asm/unistd.h>
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "fs/attribute_ops.h"
#include "fs/mount.h"
#include "fs/permission.h"
#include "fs/syscalls/common.h"

namespace quire::kernel {
namespace {

SyscallResult sys_fsync(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  // What cannot be synchronised, pipes and terminals, says EINVAL on Linux
  // (fs/sync.c:vfs_fsync_range()).
  QUIRE_TRY(const Attributes attributes, file->attributes());
  const std::uint32_t type = attributes.mode & S_IFMT;
  if (type != S_IFREG && type != S_IFDIR && type != S_IFBLK) return fail(Errno::kInval);
  return zero_or(file->sync());
}

/// Calls write straight to the server or stay in memory; what mappings have written is stored now.
SyscallResult sys_sync(const SyscallArgs&) {
  for (const auto& mount : mount_table().mounts()) static_cast<void>(mount->file_system().sync());
  return 0;
}

SyscallResult sys_syncfs(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Dentry> dentry, dentry_of_fd(args.a[0]));
  return dentry->mount() == nullptr ? SyscallResult(0)
                                    : zero_or(dentry->mount()->file_system().sync());
}

/// The whole file is written back where Linux would write a part. Order of checks: Linux v6.12
/// fs/sync.c:sync_file_range().
SyscallResult sys_sync_file_range(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  const auto offset = static_cast<std::int64_t>(args.a[1]),
             length = static_cast<std::int64_t>(args.a[2]);
  const std::uint32_t flags = uint_arg(args.a[3]);
  constexpr std::uint32_t kKnown =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  std::int64_t end = 0;
  const bool overflows = __builtin_add_overflow(offset, length, &end);
  if ((flags & ~kKnown) != 0 || offset < 0 || overflows || end < offset) return fail(Errno::kInval);
  QUIRE_TRY(const Attributes attributes, file->attributes());
  const std::uint32_t type = attributes.mode & S_IFMT;
  if (type != S_IFREG && type != S_IFDIR && type != S_IFBLK) return fail(Errno::kSPipe);
  return flags == 0 ? SyscallResult(0) : zero_or(file->sync());
}

/// Order of checks: Linux v6.12 fs/open.c:vfs_fallocate().
SyscallResult sys_fallocate(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  const std::uint32_t mode = uint_arg(args.a[1]);
  const auto offset = static_cast<std::int64_t>(args.a[2]),
             length = static_cast<std::int64_t>(args.a[3]);
  if (offset < 0 || length <= 0) return fail(Errno::kInval);
  constexpr std::uint32_t kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
                                   FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE |
                                   FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;
  if ((mode & ~kKnown) != 0) return fail(Errno::kOpNotSupp);
  if (!file->writable()) return fail(Errno::kBadF);
  QUIRE_TRY(const Attributes attributes, file->attributes());
  switch (attributes.mode & S_IFMT) {
    case S_IFREG:
      break;
    case S_IFIFO:
      return fail(Errno::kSPipe);
    case S_IFDIR:
      return fail(Errno::kIsDir);
    default:
      return fail(Errno::kNoDev);
  }
  std::int64_t end = 0;
  if (__builtin_add_overflow(offset, length, &end)) return fail(Errno::kFBig);
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0)
    QUIRE_CHECK(check_file_size_limit(static_cast<std::uint64_t>(end)));
  return zero_or(file->allocate(mode, args.a[2], args.a[3]));
}

/// Advice: taken, and nothing done with it.
SyscallResult sys_fadvise(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  QUIRE_TRY(const Attributes attributes, file->attributes());
  if ((attributes.mode & S_IFMT) == S_IFIFO) return fail(Errno::kSPipe);
  if (static_cast<std::int64_t>(args.a[2]) < 0) return fail(Errno::kInval);
  if (uint_arg(args.a[3]) > POSIX_FADV_NOREUSE) return fail(Errno::kInval);
  return 0;
}

/// As above. Linux v6.12 mm/readahead.c:ksys_readahead().
SyscallResult sys_readahead(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  if (!file->readable()) return fail(Errno::kBadF);
  QUIRE_TRY(const Attributes attributes, file->attributes());
  const std::uint32_t type = attributes.mode & S_IFMT;
  if (type != S_IFREG && type != S_IFBLK) return fail(Errno::kInval);
  return static_cast<std::int64_t>(args.a[2]) < 0 ? SyscallResult(fail(Errno::kInval)) : SyscallResult(0);
}

/// Mounting is not for ordinary users; for root it is not there.
SyscallResult refuse_mount(const SyscallArgs&) {
  return fail(filesystem_identity().can(CAP_SYS_ADMIN) ? Errno::kNoSys : Errno::kPerm);
}

constexpr SyscallEntry kEntries[] = {
    {__NR_fsync, "fsync", sys_fsync},
    {__NR_fdatasync, "fdatasync", sys_fsync},
    {__NR_sync, "sync", sys_sync},
    {__NR_syncfs, "syncfs", sys_syncfs},
    {__NR_sync_file_range, "sync_file_range", sys_sync_file_range},
    {__NR_fallocate, "fallocate", sys_fallocate},
    {__NR_fadvise64, "fadvise64", sys_fadvise},
    {__NR_readahead, "readahead", sys_readahead},
    {__NR_mount, "mount", refuse_mount},
    {__NR_umount2, "umount2", refuse_mount},
};

}  // namespace

std::span<const SyscallEntry> sync_syscalls() { return kEntries; }

}  // namespace quire::kernel
