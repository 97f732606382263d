#include "fs/open.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include "fs/devices.h"
#include "fs/lookup.h"
#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/path_file.h"
#include "fs/walk.h"
#include "ipc/pipe.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

/// Flags that matter only to open itself and are not reported by F_GETFL. Linux v6.12
/// fs/open.c:do_dentry_open().
constexpr std::uint32_t kOpenOnlyFlags = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;

bool has(std::uint32_t flags, int flag) { return (flags & static_cast<std::uint32_t>(flag)) != 0; }

std::uint32_t access_wanted(std::uint32_t flags) {
  std::uint32_t wanted = 0;
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      wanted = kMayRead;
      break;
    case O_WRONLY:
      wanted = kMayWrite;
      break;
    default:
      wanted = kMayRead | kMayWrite;
  }
  if (has(flags, O_TRUNC)) wanted |= kMayWrite;
  return wanted;
}

/// Errors: ELOOP, EISDIR, EACCES, EROFS, EPERM.
Result<void> may_open(Dentry& dentry, std::uint32_t flags, const Identity& who) {
  const std::uint32_t wanted = access_wanted(flags);
  if (dentry.is_symlink()) return fail(Errno::kLoop);
  if (dentry.is_directory() && (wanted & kMayWrite) != 0) return fail(Errno::kIsDir);
  const bool holds_data = dentry.is_directory() || dentry.type() == S_IFREG;
  if ((wanted & kMayWrite) != 0 && holds_data && dentry.mount() != nullptr &&
      dentry.mount()->is_read_only()) {
    return fail(Errno::kRoFs);
  }
  QUIRE_CHECK(check_access(*dentry.inode(), dentry.type(), wanted, who));
  if (has(flags, O_NOATIME)) {
    QUIRE_TRY(const Attributes attributes, dentry.inode()->attributes());
    if (!acts_as_owner(attributes, who)) return fail(Errno::kPerm);
  }
  return {};
}

Result<RefPtr<File>> open_inode(Dentry& dentry, std::uint32_t flags) {
  Inode& inode = *dentry.inode();
  switch (dentry.type()) {
    case S_IFCHR:
    case S_IFBLK: {
      // By number: where the device file lies says nothing about what it is.
      QUIRE_TRY(const Attributes attributes, inode.attributes());
      return open_device(attributes, flags);
    }
    case S_IFIFO:
      if (FifoState* fifo = inode.fifo()) return open_fifo(*fifo, flags);
      return inode.open(flags);
    case S_IFSOCK:
      return fail(Errno::kNxIo);
    default:
      return inode.open(flags);
  }
}

Result<RefPtr<File>> open_path_only(const RefPtr<Dentry>& dentry, std::uint32_t flags) {
  RefPtr<File> file = make_ref<PathFile>();
  file->flags = flags & static_cast<std::uint32_t>(O_PATH | O_DIRECTORY | O_NOFOLLOW);
  file->inode = dentry->inode();
  file->dentry = dentry;
  return file;
}

/// The last name does not exist and O_CREAT is given.
Result<RefPtr<Dentry>> create_regular(Walker& walker, const OpenHow& how, bool& created) {
  Dentry& parent = walker.at();
  Guard guard(parent.inode()->mutex);
  QUIRE_TRY(RefPtr<Dentry> dentry, lookup_locked(parent, walker.last()));
  if (!dentry->is_negative()) return dentry;  // somebody else was faster
  if (parent.mount()->is_read_only()) return fail(Errno::kRoFs);
  QUIRE_CHECK(check_access(*parent.inode(), parent.type(), kMayWrite | kMayExecute, walker.who()));
  const std::uint32_t mode = S_IFREG | (how.mode & 07777U & ~current_umask());
  QUIRE_TRY(RefPtr<Inode> inode, parent.inode()->create(walker.last(), mode, 0));
  created = true;
  QUIRE_TRY(dentry, publish_new(parent, walker.last(), std::move(inode)));
  notify_name(*parent.inode(), IN_CREATE, walker.last(), S_IFREG);
  return dentry;
}

/// Walks to what is to be opened; makes it if asked to.
Result<RefPtr<Dentry>> find_or_create(Walker& walker, const OpenHow& how, bool& created) {
  const bool creates = has(how.flags, O_CREAT);
  for (;;) {
    QUIRE_CHECK(walker.to_parent());
    if (creates && walker.has_trailing_slash()) return fail(Errno::kIsDir);
    QUIRE_TRY(RefPtr<Dentry> dentry, walker.lookup_last());
    if (dentry->is_negative()) {
      if (!creates) return fail(Errno::kNoEnt);
      QUIRE_TRY(dentry, create_regular(walker, how, created));
      if (created) return dentry;
    }
    if (creates && has(how.flags, O_EXCL)) return fail(Errno::kExist);
    const bool is_link = dentry->is_symlink() && walker.last_kind() == LastName::kNormal;
    if (!is_link || (has(how.flags, O_NOFOLLOW) && !walker.has_trailing_slash())) {
      if (walker.has_trailing_slash() && !dentry->is_directory()) return fail(Errno::kNotDir);
      return dentry;
    }
    QUIRE_CHECK(walker.follow(*dentry));
  }
}

/// O_CREAT of something that was there, in a sticky directory that others may write, and belongs to
/// neither the directory's owner nor the caller. Regular files and fifos are let through, as with
/// fs.protected_regular and fs.protected_fifos 0. Linux v6.12 fs/namei.c:may_create_in_sticky().
Result<void> may_create_over(Dentry& directory, Dentry& existing, const Identity& who) {
  if (existing.type() == S_IFREG || existing.type() == S_IFIFO) return {};
  QUIRE_TRY(const Attributes above, directory.inode()->attributes());
  if ((above.mode & S_ISVTX) == 0 || (above.mode & S_IWOTH) == 0) return {};
  QUIRE_TRY(const Attributes file, existing.inode()->attributes());
  if (file.uid == above.uid || file.uid == who.uid) return {};
  return fail(Errno::kAcces);
}

/// O_TRUNC of a file that was there. Devices and fifos have nothing to lose.
Result<void> truncate_opened(Dentry& dentry) {
  if (dentry.type() != S_IFREG) return {};
  AttributeChange change;
  change.size = 0;
  QUIRE_CHECK(dentry.inode()->set_attributes(change));
  notify(dentry, IN_MODIFY);
  return {};
}

}  // namespace

std::uint32_t current_umask() {
  FsContext& context = current_fs();
  Guard guard(context.mutex);
  return context.umask;
}

Result<RefPtr<File>> open_unchecked(const RefPtr<Dentry>& dentry, std::uint32_t flags) {
  if (RefPtr<File> file = dentry->inode()->already_open()) return file;
  QUIRE_TRY(RefPtr<File> file, open_inode(*dentry, flags));
  if (has(flags, O_DIRECT) && file->direct_alignment() == 0) return fail(Errno::kInval);
  file->flags = flags & ~kOpenOnlyFlags;
  // What was opened by a name is that file, also where a pipe or a device does the work. Without a
  // name it stays without.
  if (dentry->mount() != nullptr) {
    file->inode = dentry->inode();
    file->dentry = dentry;
    notify(*dentry, IN_OPEN);
  } else if (!file->inode) {
    file->inode = dentry->inode();
  }
  return file;
}

Result<RefPtr<File>> open_dentry(const RefPtr<Dentry>& dentry, std::uint32_t flags,
                                 const Identity& who) {
  if (has(flags, O_PATH)) return open_path_only(dentry, flags);
  QUIRE_CHECK(may_open(*dentry, flags, who));
  return open_unchecked(dentry, flags);
}

Result<RefPtr<File>> open_at(int dirfd, std::string_view path, const OpenHow& how) {
  std::uint32_t flags = how.flags;
  if (has(flags, O_PATH)) {
    flags &= static_cast<std::uint32_t>(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  } else if ((flags & static_cast<std::uint32_t>(__O_TMPFILE)) != 0) {
    // Programs fall back to a name of their own; Linux answers so for file systems without it.
    return fail(has(flags, O_CREAT) || !has(flags, O_DIRECTORY) ? Errno::kInval
                                                                : Errno::kOpNotSupp);
  }
  if (has(flags, O_CREAT) && has(flags, O_DIRECTORY)) return fail(Errno::kInval);

  Walker walker;
  QUIRE_CHECK(walker.restrict_to(how.resolve));
  QUIRE_CHECK(walker.begin(dirfd, path));
  bool created = false;
  QUIRE_TRY(
      const RefPtr<Dentry> dentry,
      find_or_create(walker, {.flags = flags, .mode = how.mode, .resolve = how.resolve}, created));
  if (has(flags, O_CREAT) && !created) {
    if (dentry->is_directory()) return fail(Errno::kIsDir);
    QUIRE_CHECK(may_create_over(walker.at(), *dentry, walker.who()));
  }
  if (has(flags, O_DIRECTORY) && !dentry->is_directory()) return fail(Errno::kNotDir);
  if (has(flags, O_PATH)) return open_path_only(dentry, flags);
  // Whoever makes a file may open it whatever its mode says.
  if (created) return open_unchecked(dentry, flags);
  QUIRE_CHECK(may_open(*dentry, flags, walker.who()));
  QUIRE_TRY(RefPtr<File> file, open_unchecked(dentry, flags));
  if (has(flags, O_TRUNC)) QUIRE_CHECK(truncate_opened(*dentry));
  return file;
}

}  // namespace quire::kernel
