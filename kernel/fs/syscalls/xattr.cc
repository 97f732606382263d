// Extended attributes: no file system here has any. The calls answer as Linux does for such file
// systems: the file is looked up first, reading and setting say EOPNOTSUPP, and the list is empty.
// Linux v6.12 fs/xattr.c.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "fs/syscalls/common.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kCwd = static_cast<std::uint64_t>(AT_FDCWD);

Result<void> check_name(UserAddr name) {
  const Result<std::string> text = copy_string_from_user(name, XATTR_NAME_MAX + 1);
  if (!text) return fail(text.error() == Errno::kNameTooLong ? Errno::kRange : text.error());
  if (text->empty()) return fail(Errno::kRange);
  return {};
}

/// getxattr, setxattr, removexattr of a file that is there: `found` is how it was looked up.
SyscallResult unsupported(const Result<RefPtr<Dentry>>& found, UserAddr name) {
  if (!found) return fail(found.error());
  QUIRE_CHECK(check_name(name));
  return fail(Errno::kOpNotSupp);
}

SyscallResult empty_list(const Result<RefPtr<Dentry>>& found) {
  if (!found) return fail(found.error());
  return 0;
}

Result<RefPtr<Dentry>> followed(const SyscallArgs& args) {
  return dentry_arg(kCwd, args.a[0], 0, 0);
}
Result<RefPtr<Dentry>> kept(const SyscallArgs& args) {
  return dentry_arg(kCwd, args.a[0], AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW);
}

SyscallResult sys_xattr(const SyscallArgs& args) { return unsupported(followed(args), args.a[1]); }
SyscallResult sys_lxattr(const SyscallArgs& args) { return unsupported(kept(args), args.a[1]); }
SyscallResult sys_fxattr(const SyscallArgs& args) {
  return unsupported(dentry_of_fd(args.a[0]), args.a[1]);
}
SyscallResult sys_listxattr(const SyscallArgs& args) { return empty_list(followed(args)); }
SyscallResult sys_llistxattr(const SyscallArgs& args) { return empty_list(kept(args)); }
SyscallResult sys_flistxattr(const SyscallArgs& args) {
  return empty_list(dentry_of_fd(args.a[0]));
}

constexpr SyscallEntry kEntries[] = {
    {__NR_getxattr, "getxattr", sys_xattr},
    {__NR_lgetxattr, "lgetxattr", sys_lxattr},
    {__NR_fgetxattr, "fgetxattr", sys_fxattr},
    {__NR_setxattr, "setxattr", sys_xattr},
    {__NR_lsetxattr, "lsetxattr", sys_lxattr},
    {__NR_fsetxattr, "fsetxattr", sys_fxattr},
    {__NR_removexattr, "removexattr", sys_xattr},
    {__NR_lremovexattr, "lremovexattr", sys_lxattr},
    {__NR_fremovexattr, "fremovexattr", sys_fxattr},
    {__NR_listxattr, "listxattr", sys_listxattr},
    {__NR_llistxattr, "llistxattr", sys_llistxattr},
    {__NR_flistxattr, "flistxattr", sys_flistxattr},
};

}  // namespace

std::span<const SyscallEntry> xattr_syscalls() { return kEntries; }

}  // namespace quire::kernel
