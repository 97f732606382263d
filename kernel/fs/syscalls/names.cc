// mkdir(2), unlink(2), rename(2), link(2), symlink(2), readlink(2) and their *at() forms.
#include "fs/names.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "fs/open.h"
#include "fs/syscalls/common.h"
#include "fs/walk.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kCwd = static_cast<std::uint64_t>(AT_FDCWD);

SyscallResult mkdir_at(std::uint64_t dirfd, UserAddr path_address, std::uint32_t mode) {
  QUIRE_TRY(const std::string path, path_arg(path_address));
  constexpr std::uint32_t kSettable = 01777;
  return zero_or(
      make_directory({.dirfd = int_arg(dirfd), .path = path}, mode & kSettable & ~current_umask()));
}

SyscallResult unlink_at(std::uint64_t dirfd, UserAddr path_address, std::uint32_t flags) {
  if ((flags & ~static_cast<std::uint32_t>(AT_REMOVEDIR)) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const std::string path, path_arg(path_address));
  const PathAt at{.dirfd = int_arg(dirfd), .path = path};
  return zero_or(flags != 0 ? remove_directory(at) : unlink_name(at));
}

SyscallResult rename_at(std::uint64_t from_fd, UserAddr from_address, std::uint64_t to_fd,
                        UserAddr to_address, std::uint32_t flags) {
  QUIRE_TRY(const std::string from, path_arg(from_address));
  QUIRE_TRY(const std::string to, path_arg(to_address));
  return zero_or(rename_name({.dirfd = int_arg(from_fd), .path = from},
                             {.dirfd = int_arg(to_fd), .path = to}, flags));
}

SyscallResult link_at(std::uint64_t from_fd, UserAddr from_address, std::uint64_t to_fd,
                      UserAddr to_address, std::uint32_t flags) {
  if ((flags & ~static_cast<std::uint32_t>(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0)
    return fail(Errno::kInval);
  QUIRE_TRY(const std::string from, path_arg(from_address));
  QUIRE_TRY(const std::string to, path_arg(to_address));
  return zero_or(make_link({.dirfd = int_arg(from_fd), .path = from},
                           {.dirfd = int_arg(to_fd), .path = to}, flags));
}

SyscallResult symlink_at(UserAddr target_address, std::uint64_t dirfd, UserAddr path_address) {
  QUIRE_TRY(const std::string target, path_arg(target_address));
  if (target.empty()) return fail(Errno::kNoEnt);
  QUIRE_TRY(const std::string path, path_arg(path_address));
  return zero_or(make_symlink(target, {.dirfd = int_arg(dirfd), .path = path}));
}

/// Linux v6.12 fs/stat.c:do_readlinkat(): an empty path is the link that the descriptor was opened
/// on with O_PATH | O_NOFOLLOW.
SyscallResult readlink_at(std::uint64_t dirfd, UserAddr path_address, UserAddr to,
                          std::uint64_t size_arg) {
  const int size = int_arg(size_arg);
  if (size <= 0) return fail(Errno::kInval);
  QUIRE_TRY(const std::string path, path_arg(path_address));
  QUIRE_TRY(const RefPtr<Dentry> link,
            resolve_at(int_arg(dirfd), path, int_arg(dirfd) == AT_FDCWD ? 0 : AT_EMPTY_PATH,
                       FinalLink::kKeep));
  if (!link->is_symlink()) return fail(path.empty() ? Errno::kNoEnt : Errno::kInval);
  QUIRE_TRY(const std::string target, link->inode()->read_link());
  const std::size_t n = std::min(target.size(), static_cast<std::size_t>(size));
  QUIRE_CHECK(copy_to_user(to, target.data(), n));
  return static_cast<std::int64_t>(n);
}

SyscallResult sys_mkdir(const SyscallArgs& args) {
  return mkdir_at(kCwd, args.a[0], uint_arg(args.a[1]));
}
SyscallResult sys_mkdirat(const SyscallArgs& args) {
  return mkdir_at(args.a[0], args.a[1], uint_arg(args.a[2]));
}
SyscallResult sys_rmdir(const SyscallArgs& args) {
  return unlink_at(kCwd, args.a[0], AT_REMOVEDIR);
}
SyscallResult sys_unlink(const SyscallArgs& args) { return unlink_at(kCwd, args.a[0], 0); }
SyscallResult sys_unlinkat(const SyscallArgs& args) {
  return unlink_at(args.a[0], args.a[1], uint_arg(args.a[2]));
}
SyscallResult sys_rename(const SyscallArgs& args) {
  return rename_at(kCwd, args.a[0], kCwd, args.a[1], 0);
}
SyscallResult sys_renameat(const SyscallArgs& args) {
  return rename_at(args.a[0], args.a[1], args.a[2], args.a[3], 0);
}
SyscallResult sys_renameat2(const SyscallArgs& args) {
  return rename_at(args.a[0], args.a[1], args.a[2], args.a[3], uint_arg(args.a[4]));
}
SyscallResult sys_link(const SyscallArgs& args) {
  return link_at(kCwd, args.a[0], kCwd, args.a[1], 0);
}
SyscallResult sys_linkat(const SyscallArgs& args) {
  return link_at(args.a[0], args.a[1], args.a[2], args.a[3], uint_arg(args.a[4]));
}
SyscallResult sys_symlink(const SyscallArgs& args) {
  return symlink_at(args.a[0], kCwd, args.a[1]);
}
SyscallResult sys_symlinkat(const SyscallArgs& args) {
  return symlink_at(args.a[0], args.a[1], args.a[2]);
}
SyscallResult sys_readlink(const SyscallArgs& args) {
  return readlink_at(kCwd, args.a[0], args.a[1], args.a[2]);
}
SyscallResult sys_readlinkat(const SyscallArgs& args) {
  return readlink_at(args.a[0], args.a[1], args.a[2], args.a[3]);
}

constexpr SyscallEntry kEntries[] = {
    {__NR_mkdir, "mkdir", sys_mkdir},
    {__NR_mkdirat, "mkdirat", sys_mkdirat},
    {__NR_rmdir, "rmdir", sys_rmdir},
    {__NR_unlink, "unlink", sys_unlink},
    {__NR_unlinkat, "unlinkat", sys_unlinkat},
    {__NR_rename, "rename", sys_rename},
    {__NR_renameat, "renameat", sys_renameat},
    {__NR_renameat2, "renameat2", sys_renameat2},
    {__NR_link, "link", sys_link},
    {__NR_linkat, "linkat", sys_linkat},
    {__NR_symlink, "symlink", sys_symlink},
    {__NR_symlinkat, "symlinkat", sys_symlinkat},
    {__NR_readlink, "readlink", sys_readlink},
    {__NR_readlinkat, "readlinkat", sys_readlinkat},
};

}  // namespace

std::span<const SyscallEntry> name_syscalls() { return kEntries; }

}  // namespace quire::kernel
