// open(2), openat2(2), creat(2), mknod(2), memfd_create(2): what makes files and descriptors of paths.
#include "fs/open.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "fs/memory/huge_file.h"
#include "fs/memory/memfd.h"
#include "fs/names.h"
#include "fs/syscalls/common.h"
#include "mm/memory.h"
#include "quire/base/types.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

constexpr std::uint32_t kCreates = O_CREAT | __O_TMPFILE;
/// Linux v6.12 include/linux/fcntl.h: VALID_OPEN_FLAGS.
constexpr std::uint64_t kKnownFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
                                      O_NONBLOCK | __O_SYNC | O_DSYNC | FASYNC | O_DIRECT |
                                      O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |
                                      O_CLOEXEC | O_PATH | __O_TMPFILE;

SyscallResult open_to_fd(int dirfd, UserAddr path_address, OpenHow how) {
  QUIRE_TRY(const std::string path, path_arg(path_address));
  FdTable& files = current_files();
  QUIRE_TRY(const int fd, files.reserve(0));
  Result<RefPtr<File>> file = open_at(dirfd, path, how);
  if (!file) {
    files.release(fd);
    return fail(file.error());
  }
  files.fill(fd, std::move(*file), (how.flags & O_CLOEXEC) != 0);
  return fd;
}

SyscallResult plain_open(int dirfd, UserAddr path, std::uint32_t flags, std::uint32_t mode) {
  flags = (flags & static_cast<std::uint32_t>(kKnownFlags)) | O_LARGEFILE;
  return open_to_fd(
      dirfd, path,
      {.flags = flags, .mode = (flags & kCreates) != 0 ? mode & 07777U : 0, .resolve = 0});
}

SyscallResult sys_open(const SyscallArgs& args) {
  return plain_open(AT_FDCWD, args.a[0], uint_arg(args.a[1]), uint_arg(args.a[2]));
}

SyscallResult sys_openat(const SyscallArgs& args) {
  return plain_open(int_arg(args.a[0]), args.a[1], uint_arg(args.a[2]), uint_arg(args.a[3]));
}

SyscallResult sys_creat(const SyscallArgs& args) {
  return plain_open(AT_FDCWD, args.a[0], O_CREAT | O_WRONLY | O_TRUNC, uint_arg(args.a[1]));
}

/// The caller's struct open_how, which may be longer than ours if the rest is zero. Errors: EINVAL,
/// E2BIG, EFAULT.
Result<open_how> how_arg(UserAddr address, std::uint64_t size) {
  if (size < sizeof(open_how)) return fail(Errno::kInval);
  if (size > kPageSize) return fail(Errno::kTooBig);
  for (std::uint64_t at = sizeof(open_how); at < size; ++at) {
    QUIRE_TRY(const std::uint8_t byte, get_user<std::uint8_t>(address + at));
    if (byte != 0) return fail(Errno::kTooBig);
  }
  return get_user<open_how>(address);
}

SyscallResult sys_openat2(const SyscallArgs& args) {
  QUIRE_TRY(const open_how how, how_arg(args.a[2], args.a[3]));
  constexpr std::uint64_t kWithPath = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if ((how.flags & ~kKnownFlags) != 0 || (how.mode & ~std::uint64_t{07777}) != 0)
    return fail(Errno::kInval);
  if (how.mode != 0 && (how.flags & kCreates) == 0) return fail(Errno::kInval);
  if ((how.flags & O_PATH) != 0 && (how.flags & ~kWithPath) != 0) return fail(Errno::kInval);
  return open_to_fd(int_arg(args.a[0]), args.a[1],
                    {.flags = static_cast<std::uint32_t>(how.flags) | O_LARGEFILE,
                     .mode = static_cast<std::uint32_t>(how.mode),
                     .resolve = how.resolve});
}

/// Linux v6.12 fs/namei.c:may_mknod().
SyscallResult make_node_at(int dirfd, UserAddr path_address, std::uint32_t mode,
                           std::uint64_t rdev) {
  const std::uint32_t type = mode & S_IFMT;
  switch (type) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
      break;
    case S_IFCHR:
    case S_IFBLK:
      break;
    case S_IFDIR:
      return fail(Errno::kPerm);
    default:
      return fail(Errno::kInval);
  }
  QUIRE_TRY(const std::string path, path_arg(path_address));
  const std::uint32_t permissions = mode & 07777U & ~current_umask();
  return zero_or(
      make_node({.dirfd = dirfd, .path = path}, (type == 0 ? S_IFREG : type) | permissions, rdev));
}

SyscallResult sys_mknod(const SyscallArgs& args) {
  return make_node_at(AT_FDCWD, args.a[0], uint_arg(args.a[1]), uint_arg(args.a[2]));
}

SyscallResult sys_mknodat(const SyscallArgs& args) {
  return make_node_at(int_arg(args.a[0]), args.a[1], uint_arg(args.a[2]), uint_arg(args.a[3]));
}

/// Linux v6.12 mm/memfd.c:SYSCALL_DEFINE2(memfd_create). Those of huge pages cannot be sealed here.
Result<RefPtr<File>> make_memfd_of(std::string_view name, std::uint32_t flags) {
  constexpr unsigned kSizeShift = 26;
  constexpr std::uint32_t kSizes = 63U << kSizeShift;
  const bool is_huge = (flags & MFD_HUGETLB) != 0;
  const std::uint32_t known = MFD_CLOEXEC | kMemfdNoExecSeal | kMemfdExec | (is_huge ? MFD_HUGETLB | kSizes : MFD_ALLOW_SEALING);
  if ((flags & ~known) != 0 || ((flags & kMemfdNoExecSeal) != 0 && (is_huge || (flags & kMemfdExec) != 0))) return fail(Errno::kInval);
  if (!is_huge) return make_memfd(name, flags);
  const auto level = memory().huge().level_of(flags >> kSizeShift);
  if (!level) return fail(Errno::kNoDev);
  return make_huge_memfd(name, *level);
}

SyscallResult sys_memfd_create(const SyscallArgs& args) {
  constexpr std::size_t kLongestName = 249;  // Linux v6.12 mm/memfd.c: MFD_NAME_MAX_LEN
  const std::uint32_t flags = uint_arg(args.a[1]);
  const Result<std::string> name = copy_string_from_user(args.a[0], kLongestName + 1);
  if (!name) return fail(name.error() == Errno::kNameTooLong ? Errno::kInval : name.error());
  QUIRE_TRY(RefPtr<File> file, make_memfd_of(*name, flags));
  QUIRE_TRY(const int fd, current_files().install(std::move(file), 0, (flags & MFD_CLOEXEC) != 0));
  return fd;
}

SyscallResult sys_umask(const SyscallArgs& args) {
  FsContext& context = current_fs();
  Guard guard(context.mutex);
  return std::exchange(context.umask, uint_arg(args.a[0]) & 0777U);
}

constexpr SyscallEntry kEntries[] = {
    {__NR_open, "open", sys_open},          {__NR_openat, "openat", sys_openat},
    {__NR_openat2, "openat2", sys_openat2}, {__NR_creat, "creat", sys_creat},
    {__NR_mknod, "mknod", sys_mknod},       {__NR_mknodat, "mknodat", sys_mknodat},
    {__NR_umask, "umask", sys_umask},       {__NR_memfd_create, "memfd_create", sys_memfd_create},
};

}  // namespace

std::span<const SyscallEntry> open_syscalls() { return kEntries; }

}  // namespace quire::kernel
