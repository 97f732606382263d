#include <linux/fcntl.h>
#include <sys/stat.h>

#include "fs/lookup.h"
#include "fs/mount.h"
#include "fs/names.h"
#include "fs/notify.h"
#include "fs/permission.h"
#include "fs/walk.h"

namespace quire::kernel {
namespace {

/// Whether "name/" may be made.
enum class TrailingSlash : std::uint8_t { kAllowed, kRefused };

/// Goes to the directory of a name that is to be made, sees that there is none, and calls
/// make(directory, name), which returns what it now names. Before the permissions, check(directory)
/// may have something to say.
template <typename Make, typename Check>
Result<void> create_name(PathAt at, TrailingSlash slash, Make make, Check check) {
  Walker walker;
  QUIRE_CHECK(walker.begin(at.dirfd, at.path));
  QUIRE_CHECK(walker.to_parent());
  if (walker.last_kind() != LastName::kNormal) return fail(Errno::kExist);
  Dentry& parent = walker.at();
  Inode& directory = *parent.inode();
  Guard guard(directory.mutex);
  QUIRE_TRY(const RefPtr<Dentry> existing, lookup_locked(parent, walker.last()));
  if (!existing->is_negative()) return fail(Errno::kExist);
  if (slash == TrailingSlash::kRefused && walker.has_trailing_slash()) return fail(Errno::kNoEnt);
  if (parent.mount()->is_read_only()) return fail(Errno::kRoFs);
  QUIRE_CHECK(check(parent));
  QUIRE_CHECK(check_access(directory, parent.type(), kMayWrite | kMayExecute, walker.who()));
  QUIRE_TRY(RefPtr<Inode> made, make(parent, walker.last()));
  QUIRE_TRY(const RefPtr<Dentry> dentry, publish_new(parent, walker.last(), std::move(made)));
  notify_name(directory, IN_CREATE, walker.last(), dentry->type());
  return {};
}

template <typename Make>
Result<void> create_name(PathAt at, TrailingSlash slash, Make make) {
  return create_name(at, slash, make, [](Dentry&) { return Result<void>(); });
}

/// Who does not own a file may link it only if it is a plain one they may write. Linux v6.12
/// fs/namei.c:may_linkat() with fs.protected_hardlinks = 1, as Debian sets it.
Result<void> may_link(Dentry& target, const Identity& who) {
  if (who.can(CAP_FOWNER)) return {};
  QUIRE_TRY(const Attributes file, target.inode()->attributes());
  constexpr std::uint32_t kGroupProgram = S_ISGID | S_IXGRP;
  const bool is_plain = target.type() == S_IFREG && (file.mode & S_ISUID) == 0 &&
                        (file.mode & kGroupProgram) != kGroupProgram;
  if (file.uid == who.uid || (is_plain && check_access(file, kMayRead | kMayWrite, who))) return {};
  return fail(Errno::kPerm);
}

}  // namespace

Result<void> make_node(PathAt at, std::uint32_t mode, std::uint64_t rdev) {
  return create_name(at, TrailingSlash::kRefused,
                     [mode, rdev](Dentry& parent, std::string_view name) -> Result<RefPtr<Inode>> {
                       // Device files are root's to make, but for overlayfs' whiteouts. Linux v6.12
                       // fs/namei.c:vfs_mknod().
                       const std::uint32_t type = mode & S_IFMT;
                       const bool is_device = type == S_IFBLK || (type == S_IFCHR && rdev != 0);
                       if (is_device && !filesystem_identity().can(CAP_MKNOD)) return fail(Errno::kPerm);
                       return parent.inode()->create(name, mode, rdev);
                     });
}

Result<void> make_directory(PathAt at, std::uint32_t mode) {
  return create_name(at, TrailingSlash::kAllowed, [mode](Dentry& parent, std::string_view name) {
    return parent.inode()->create(name, S_IFDIR | mode, 0);
  });
}

Result<void> make_symlink(std::string_view target, PathAt at) {
  return create_name(at, TrailingSlash::kRefused, [target](Dentry& parent, std::string_view name) {
    return parent.inode()->symlink(name, target);
  });
}

Result<void> make_link(PathAt from, PathAt to, std::uint32_t at_flags) {
  QUIRE_TRY(const RefPtr<Dentry> target,
            resolve_at(from.dirfd, from.path, at_flags, FinalLink::kKeep));
  const auto check = [&target](Dentry& parent) -> Result<void> {
    if (parent.mount() != target->mount()) return fail(Errno::kXDev);
    return may_link(*target, filesystem_identity());
  };
  const auto make = [&target](Dentry& parent, std::string_view name) -> Result<RefPtr<Inode>> {
    if (target->is_directory()) return fail(Errno::kPerm);
    QUIRE_CHECK(parent.inode()->link(name, *target->inode()));
    if (anybody_watches()) notify_watchers_of_inode(*target, IN_ATTRIB);
    // A server that others change, too, knows files by their names: by the old one, which may go, this one would go with it.
    if (!target->inode()->caches_absence()) return parent.inode()->lookup(name);
    return target->inode();
  };
  return create_name(to, TrailingSlash::kRefused, make, check);
}

}  // namespace quire::kernel
