// getdents(2), getcwd(2), chdir(2), chroot(2).
#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "fs/notify.h"
#include "fs/permission.h"
#include "fs/syscalls/common.h"
#include "fs/walk.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

/// "." and ".." come before what the directory itself lists: its position 0 is ours 2.
constexpr std::uint64_t kDots = 2;

/// struct linux_dirent64: inode, position after, record length, type, name.
struct Dirent64 {
  static constexpr std::size_t kNameOffset = 19;
  static constexpr std::size_t kAlignment = 8;
  static std::size_t size(std::size_t name_length) {
    return (kNameOffset + name_length + 1 + kAlignment - 1) / kAlignment * kAlignment;
  }
  static void encode(std::byte* to, std::size_t size, const DirectoryEntry& entry,
                     std::uint64_t next) {
    const auto length = static_cast<std::uint16_t>(size);
    std::memcpy(to, &entry.inode, 8);
    std::memcpy(to + 8, &next, 8);
    std::memcpy(to + 16, &length, 2);
    to[18] = static_cast<std::byte>(entry.type);
    entry.name.copy(reinterpret_cast<char*>(to + kNameOffset), entry.name.size());
  }
};

/// struct linux_dirent: the type is the record's last byte.
struct OldDirent {
  static constexpr std::size_t kNameOffset = 18;
  static std::size_t size(std::size_t name_length) {
    return (kNameOffset + name_length + 2 + 7) / 8 * 8;
  }
  static void encode(std::byte* to, std::size_t size, const DirectoryEntry& entry,
                     std::uint64_t next) {
    const auto length = static_cast<std::uint16_t>(size);
    std::memcpy(to, &entry.inode, 8);
    std::memcpy(to + 8, &next, 8);
    std::memcpy(to + 16, &length, 2);
    entry.name.copy(reinterpret_cast<char*>(to + kNameOffset), entry.name.size());
    to[size - 1] = static_cast<std::byte>(entry.type);
  }
};

/// Fills the caller's buffer with records.
template <typename Record>
class Filler {
 public:
  Filler(UserAddr to, std::size_t room) : to_(to), room_(room) {}

  /// Whether the entry had room. `next` is the position after it.
  bool add(const DirectoryEntry& entry, std::uint64_t next) {
    const std::size_t size = Record::size(entry.name.size());
    if (size > room_ || size > sizeof record_) {
      if (written_ == 0) error_ = Errno::kInval;
      return false;
    }
    std::memset(record_, 0, size);
    Record::encode(record_, size, entry, next);
    if (!copy_to_user(to_, record_, size)) {
      error_ = Errno::kFault;
      return false;
    }
    to_ += size;
    room_ -= size;
    written_ += size;
    return true;
  }
  static bool sink(void* filler, const DirectoryEntry& entry, std::uint64_t next) {
    if (entry.name == "." || entry.name == "..") return true;
    return static_cast<Filler*>(filler)->add(entry, next + kDots);
  }
  [[nodiscard]] SyscallResult result(const Result<void>& read) const {
    if (written_ > 0) return static_cast<std::int64_t>(written_);
    if (error_) return fail(*error_);
    if (!read) return fail(read.error());
    return 0;
  }

 private:
  UserAddr to_;
  std::size_t room_;
  std::size_t written_ = 0;
  std::optional<Errno> error_;
  std::byte record_[Dirent64::kNameOffset + 256 + 8];
};

Result<DirectoryEntry> dot_entry(Dentry& dentry, std::uint64_t position) {
  constexpr std::uint8_t kDirectoryType = 4;  // DT_DIR
  const RefPtr<Dentry> parent = dentry_cache().parent(dentry);
  Dentry& meant = position == 0 || !parent ? dentry : *parent;
  QUIRE_TRY(const Attributes attributes, meant.inode()->attributes());
  return DirectoryEntry{
      .name = position == 0 ? "." : "..", .inode = attributes.inode, .type = kDirectoryType};
}

template <typename Record>
SyscallResult get_entries(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  if (!file->dentry || !file->dentry->is_directory()) return fail(Errno::kNotDir);
  if (dentry_cache().is_unlinked(*file->dentry)) return fail(Errno::kNoEnt);
  Filler<Record> filler(args.a[1], uint_arg(args.a[2]));
  Guard guard(file->position_lock);
  while (file->position < kDots) {
    QUIRE_TRY(const DirectoryEntry entry, dot_entry(*file->dentry, file->position));
    if (!filler.add(entry, file->position + 1)) return filler.result({});
    ++file->position;
  }
  std::uint64_t offset = file->position - kDots;
  const Result<void> read = file->read_directory(offset, Filler<Record>::sink, &filler);
  file->position = offset + kDots;
  if (read) notify(*file, IN_ACCESS);
  return filler.result(read);
}

/// Linux v6.12 fs/d_path.c:sys_getcwd().
SyscallResult sys_getcwd(const SyscallArgs& args) {
  RefPtr<Dentry> cwd, root;
  {
    FsContext& context = current_fs();
    Guard guard(context.mutex);
    cwd = context.cwd;
    root = context.root;
  }
  if (dentry_cache().is_unlinked(*cwd)) return fail(Errno::kNoEnt);
  bool reached = false;
  std::string path = dentry_cache().path(*cwd, root.get(), reached);
  if (!reached) path.insert(0, "(unreachable)");
  const std::size_t size = path.size() + 1;
  if (size > args.a[1]) return fail(Errno::kRange);
  QUIRE_CHECK(copy_to_user(args.a[0], path.c_str(), size));
  return static_cast<std::int64_t>(size);
}

SyscallResult enter(RefPtr<Dentry> directory) {
  if (!directory->is_directory()) return fail(Errno::kNotDir);
  QUIRE_CHECK(
      check_access(*directory->inode(), directory->type(), kMayExecute, filesystem_identity()));
  FsContext& context = current_fs();
  Guard guard(context.mutex);
  std::swap(context.cwd, directory);
  return 0;
}

SyscallResult sys_chdir(const SyscallArgs& args) {
  QUIRE_TRY(RefPtr<Dentry> directory,
            dentry_arg(static_cast<std::uint64_t>(AT_FDCWD), args.a[0], 0, 0));
  return enter(std::move(directory));
}

SyscallResult sys_fchdir(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, any_file_arg(args.a[0]));
  if (!file->dentry) return fail(Errno::kNotDir);
  return enter(file->dentry);
}

SyscallResult sys_chroot(const SyscallArgs& args) {
  QUIRE_TRY(RefPtr<Dentry> directory,
            dentry_arg(static_cast<std::uint64_t>(AT_FDCWD), args.a[0], 0, 0));
  if (!directory->is_directory()) return fail(Errno::kNotDir);
  const Identity who = filesystem_identity();
  QUIRE_CHECK(check_access(*directory->inode(), directory->type(), kMayExecute, who));
  if (!who.can(CAP_SYS_CHROOT)) return fail(Errno::kPerm);
  FsContext& context = current_fs();
  Guard guard(context.mutex);
  std::swap(context.root, directory);
  return 0;
}

constexpr SyscallEntry kEntries[] = {
    {__NR_getdents64, "getdents64", get_entries<Dirent64>},
    {__NR_getdents, "getdents", get_entries<OldDirent>},
    {__NR_getcwd, "getcwd", sys_getcwd},
    {__NR_chdir, "chdir", sys_chdir},
    {__NR_fchdir, "fchdir", sys_fchdir},
    {__NR_chroot, "chroot", sys_chroot},
};

}  // namespace

std::span<const SyscallEntry> directory_syscalls() { return kEntries; }

}  // namespace quire::kernel
