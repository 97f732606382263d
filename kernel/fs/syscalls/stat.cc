// stat(2) and its relatives, access(2), statfs(2).
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "fs/devices.h"
#include "fs/mount.h"
#include "fs/permission.h"
#include "fs/syscalls/common.h"
#include "fs/walk.h"

namespace quire::kernel {
namespace {

constexpr std::uint32_t kStatFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

struct Seconds {
  std::int64_t seconds;
  std::uint32_t nanoseconds;
};
Seconds split(std::int64_t ns) {
  std::int64_t seconds = ns / kNanosecondsPerSecond, rest = ns % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    --seconds;
  }
  return {.seconds = seconds, .nanoseconds = static_cast<std::uint32_t>(rest)};
}

/// Attributes with the device of the mount, for file systems that leave that to us.
Attributes with_device(Attributes attributes, const Mount* mount) {
  if (attributes.device == 0 && mount != nullptr) attributes.device = mount->file_system().device();
  return attributes;
}

Result<Attributes> attributes_of(const Dentry& dentry) {
  QUIRE_TRY(const Attributes attributes, dentry.inode()->attributes());
  return with_device(attributes, dentry.mount());
}

Result<Attributes> attributes_of(File& file) {
  QUIRE_TRY(const Attributes attributes, file.attributes());
  return with_device(attributes, file.dentry ? file.dentry->mount() : nullptr);
}

SyscallResult put_stat(UserAddr to, const Result<Attributes>& attributes) {
  if (!attributes) return fail(attributes.error());
  const Attributes& from = *attributes;
  const Seconds access = split(from.times.access_ns), modify = split(from.times.modify_ns),
                change = split(from.times.change_ns);
  struct stat result = {};
  result.st_dev = from.device;
  result.st_ino = from.inode;
  result.st_nlink = from.links;
  result.st_mode = from.mode;
  result.st_uid = from.uid;
  result.st_gid = from.gid;
  result.st_rdev = from.rdev;
  result.st_size = static_cast<__kernel_long_t>(from.size);
  result.st_blksize = static_cast<__kernel_long_t>(from.block_size);
  result.st_blocks = static_cast<__kernel_long_t>(from.blocks);
  result.st_atime = static_cast<__kernel_ulong_t>(access.seconds);
  result.st_atime_nsec = access.nanoseconds;
  result.st_mtime = static_cast<__kernel_ulong_t>(modify.seconds);
  result.st_mtime_nsec = modify.nanoseconds;
  result.st_ctime = static_cast<__kernel_ulong_t>(change.seconds);
  result.st_ctime_nsec = change.nanoseconds;
  return zero_or(put_user(to, result));
}

Result<Attributes> attributes_at(std::uint64_t dirfd, UserAddr path, std::uint32_t flags) {
  QUIRE_TRY(const RefPtr<Dentry> dentry, dentry_arg(dirfd, path, flags, kStatFlags));
  return attributes_of(*dentry);
}

SyscallResult sys_stat(const SyscallArgs& args) {
  return put_stat(args.a[1], attributes_at(static_cast<std::uint64_t>(AT_FDCWD), args.a[0], 0));
}

SyscallResult sys_lstat(const SyscallArgs& args) {
  return put_stat(args.a[1], attributes_at(static_cast<std::uint64_t>(AT_FDCWD), args.a[0],
                                           AT_SYMLINK_NOFOLLOW));
}

SyscallResult sys_fstat(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, any_file_arg(args.a[0]));
  return put_stat(args.a[1], attributes_of(*file));
}

SyscallResult sys_newfstatat(const SyscallArgs& args) {
  return put_stat(args.a[2], attributes_at(args.a[0], args.a[1], uint_arg(args.a[3])));
}

statx_timestamp timestamp(std::int64_t ns) {
  const Seconds time = split(ns);
  statx_timestamp result = {};
  result.tv_sec = time.seconds;
  result.tv_nsec = time.nanoseconds;
  return result;
}

SyscallResult sys_statx(const SyscallArgs& args) {
  const std::uint32_t flags = uint_arg(args.a[2]), mask = uint_arg(args.a[3]);
  if ((mask & STATX__RESERVED) != 0 || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
    return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<Dentry> dentry,
            dentry_arg(args.a[0], args.a[1], flags, kStatFlags | AT_STATX_SYNC_TYPE));
  QUIRE_TRY(const Attributes from, attributes_of(*dentry));
  struct statx result = {};
  result.stx_mask = STATX_BASIC_STATS;
  result.stx_blksize = static_cast<std::uint32_t>(from.block_size);
  result.stx_nlink = static_cast<std::uint32_t>(from.links);
  result.stx_uid = from.uid;
  result.stx_gid = from.gid;
  result.stx_mode = static_cast<std::uint16_t>(from.mode);
  result.stx_ino = from.inode;
  result.stx_size = from.size;
  result.stx_blocks = from.blocks;
  result.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
  if (dentry->is_mount_root()) result.stx_attributes |= STATX_ATTR_MOUNT_ROOT;
  result.stx_atime = timestamp(from.times.access_ns);
  result.stx_mtime = timestamp(from.times.modify_ns);
  result.stx_ctime = timestamp(from.times.change_ns);
  result.stx_rdev_major = device_major(from.rdev);
  result.stx_rdev_minor = device_minor(from.rdev);
  result.stx_dev_major = device_major(from.device);
  result.stx_dev_minor = device_minor(from.device);
  return zero_or(put_user(args.a[4], result));
}

/// Linux v6.12 fs/open.c:do_faccessat(): the whole walk is done as the real user, unless
/// AT_EACCESS.
SyscallResult check_access_at(std::uint64_t dirfd, UserAddr path_address, std::uint32_t mode,
                              std::uint32_t flags) {
  constexpr std::uint32_t kAllowed = AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
  if ((mode & ~7U) != 0 || (flags & ~kAllowed) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const std::string path, path_arg(path_address));
  const Identity who = (flags & AT_EACCESS) != 0 ? filesystem_identity() : real_identity();
  RefPtr<Dentry> dentry;
  if (path.empty()) {
    QUIRE_TRY(dentry, resolve_at(int_arg(dirfd), path, flags, FinalLink::kFollow));
  } else {
    Walker walker(who);
    QUIRE_CHECK(walker.begin(int_arg(dirfd), path));
    QUIRE_TRY(dentry, walker.resolve((flags & AT_SYMLINK_NOFOLLOW) != 0 ? FinalLink::kKeep
                                                                        : FinalLink::kFollow));
  }
  QUIRE_CHECK(check_access(*dentry->inode(), dentry->type(), mode, who));
  const bool holds_data = dentry->is_regular() || dentry->is_directory() || dentry->is_symlink();
  if ((mode & kMayWrite) != 0 && holds_data && dentry->mount() != nullptr &&
      dentry->mount()->is_read_only()) {
    return fail(Errno::kRoFs);
  }
  return 0;
}

SyscallResult sys_access(const SyscallArgs& args) {
  return check_access_at(static_cast<std::uint64_t>(AT_FDCWD), args.a[0], uint_arg(args.a[1]), 0);
}

SyscallResult sys_faccessat(const SyscallArgs& args) {
  return check_access_at(args.a[0], args.a[1], uint_arg(args.a[2]), 0);
}

SyscallResult sys_faccessat2(const SyscallArgs& args) {
  return check_access_at(args.a[0], args.a[1], uint_arg(args.a[2]), uint_arg(args.a[3]));
}

SyscallResult put_statfs(UserAddr to, const Dentry& dentry) {
  constexpr long kReadOnly = 1, kRelatime = 0x1000,
                 kValid = 0x20;                          // Linux v6.12 include/linux/statfs.h: ST_*
  constexpr std::uint64_t kAnonymousMagic = 0x09041934;  // ANON_INODE_FS_MAGIC
  FileSystemFigures figures{.magic = kAnonymousMagic};
  struct statfs result = {};
  result.f_flags = kValid | kRelatime;
  if (const Mount* mount = dentry.mount()) {
    QUIRE_TRY(figures, mount->file_system().figures());
    if (mount->is_read_only()) result.f_flags |= kReadOnly;
    result.f_fsid.val[0] = static_cast<int>(mount->file_system().device());
  }
  result.f_type = static_cast<long>(figures.magic);
  result.f_bsize = result.f_frsize = static_cast<long>(figures.block_size);
  result.f_blocks = static_cast<long>(figures.blocks);
  result.f_bfree = static_cast<long>(figures.blocks_free);
  result.f_bavail = static_cast<long>(figures.blocks_available);
  result.f_files = static_cast<long>(figures.files);
  result.f_ffree = static_cast<long>(figures.files_free);
  result.f_namelen = static_cast<long>(figures.name_length);
  return zero_or(put_user(to, result));
}

SyscallResult sys_statfs(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Dentry> dentry,
            dentry_arg(static_cast<std::uint64_t>(AT_FDCWD), args.a[0], 0, 0));
  return put_statfs(args.a[1], *dentry);
}

SyscallResult sys_fstatfs(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, any_file_arg(args.a[0]));
  return put_statfs(args.a[1], *dentry_of(*file, file->anonymous_name()));
}

constexpr SyscallEntry kEntries[] = {
    {__NR_stat, "stat", sys_stat},
    {__NR_lstat, "lstat", sys_lstat},
    {__NR_fstat, "fstat", sys_fstat},
    {__NR_newfstatat, "newfstatat", sys_newfstatat},
    {__NR_statx, "statx", sys_statx},
    {__NR_access, "access", sys_access},
    {__NR_faccessat, "faccessat", sys_faccessat},
    {__NR_faccessat2, "faccessat2", sys_faccessat2},
    {__NR_statfs, "statfs", sys_statfs},
    {__NR_fstatfs, "fstatfs", sys_fstatfs},
};

}  // namespace

std::span<const SyscallEntry> stat_syscalls() { return kEntries; }

}  // namespace quire::kernel
