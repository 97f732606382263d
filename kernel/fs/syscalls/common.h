// What the file system calls share: arguments to descriptors, paths and pieces.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fs/dentry.h"
#include "fs/vfs.h"
#include "mm/uaccess.h"
#include "syscall/syscall.h"

namespace quire::kernel {

/// An argument that is a C int.
[[nodiscard]] inline int int_arg(std::uint64_t argument) {
  return static_cast<int>(static_cast<std::uint32_t>(argument));
}
[[nodiscard]] inline std::uint32_t uint_arg(std::uint64_t argument) {
  return static_cast<std::uint32_t>(argument);
}

/// Success as a system call's 0.
[[nodiscard]] inline SyscallResult zero_or(const Result<void>& result) {
  if (!result) return fail(result.error());
  return 0;
}

/// An open file of the caller that may be read, written, controlled …: not one opened with O_PATH.
/// Errors: EBADF.
Result<RefPtr<File>> file_arg(std::uint64_t fd);
/// Any open file of the caller. Errors: EBADF.
Result<RefPtr<File>> any_file_arg(std::uint64_t fd);
/// A path from user memory. It may be empty. Errors: EFAULT, ENAMETOOLONG.
Result<std::string> path_arg(UserAddr address);
/// The name `path` from `dirfd`, with these AT_* flags. Errors: also EINVAL for flags outside
/// `allowed`.
Result<RefPtr<Dentry>> dentry_arg(std::uint64_t dirfd, UserAddr path, std::uint32_t flags,
                                  std::uint32_t allowed);
/// The name behind a descriptor; anonymous for pipes and the like. Errors: EBADF.
Result<RefPtr<Dentry>> dentry_of_fd(std::uint64_t fd);

/// The pieces of an iovec array in user memory.
class IoVector {
 public:
  /// Errors: EFAULT, EINVAL (more than 1024, or more than SSIZE_MAX bytes).
  Result<void> load(UserAddr address, std::uint64_t count);
  [[nodiscard]] std::span<const IoPiece> pieces() const { return pieces_; }

 private:
  std::array<IoPiece, 8> few_;
  std::vector<IoPiece> many_;
  std::span<const IoPiece> pieces_;
};

/// Bytes one call moves at most. Linux v6.12 include/linux/fs.h: MAX_RW_COUNT.
inline constexpr std::size_t kMaxTransfer = 0x7ffff000;

// Reads and writes once the arguments are in the kernel (read_write.cc).
SyscallResult read_from(File& file, IoBuffer buffer);
SyscallResult write_to(File& file, IoBuffer buffer);
SyscallResult read_from(File& file, IoBuffer buffer, std::int64_t offset);
SyscallResult write_to(File& file, IoBuffer buffer, std::int64_t offset);

// The same for files opened with O_DIRECT (direct.cc). Errors: EINVAL (not aligned), and as read() and write().
Result<std::size_t> read_direct(File& file, IoBuffer& buffer, std::uint64_t offset);
Result<std::size_t> write_direct(File& file, IoBuffer& buffer, std::uint64_t offset);

// One array per file of this folder; file_syscalls() is all of them (table.cc).
std::span<const SyscallEntry> attribute_syscalls();
std::span<const SyscallEntry> copy_syscalls();
std::span<const SyscallEntry> descriptor_syscalls();
std::span<const SyscallEntry> directory_syscalls();
std::span<const SyscallEntry> lock_syscalls();
std::span<const SyscallEntry> name_syscalls();
std::span<const SyscallEntry> open_syscalls();
std::span<const SyscallEntry> read_write_syscalls();
std::span<const SyscallEntry> stat_syscalls();
std::span<const SyscallEntry> sync_syscalls();
std::span<const SyscallEntry> xattr_syscalls();

}  // namespace quire::kernel
