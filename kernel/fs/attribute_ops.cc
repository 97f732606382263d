#include "fs/attribute_ops.h"

#include <asm/resource.h>
#include <signal.h>
#include <sys/stat.h>

#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/permission.h"
#include "task/task.h"
#include "time/clock.h"

namespace quire::kernel {
namespace {

Result<void> check_writable_mount(const Dentry& dentry) {
  if (dentry.mount() != nullptr && dentry.mount()->is_read_only()) return fail(Errno::kRoFs);
  return {};
}

/// What a file loses when it gets another owner. Linux v6.12 fs/attr.c:setattr_should_drop_sgid().
std::uint32_t mode_after_chown(std::uint32_t mode, const Identity& who, std::uint32_t gid) {
  mode &= ~static_cast<std::uint32_t>(S_ISUID);
  const bool keeps_group_bit = (mode & S_IXGRP) == 0 && (who.can(CAP_FSETID) || who.in_group(gid));
  return keeps_group_bit ? mode : mode & ~static_cast<std::uint32_t>(S_ISGID);
}

Result<void> apply(Dentry& dentry, const AttributeChange& change, std::uint32_t event) {
  QUIRE_CHECK(dentry.inode()->set_attributes(change));
  notify(dentry, event);
  return {};
}

/// What a change of times is to who watches (Linux v6.12 include/linux/fsnotify.h:fsnotify_change()).
std::uint32_t event_of(const AttributeChange& change) {
  if (change.access_ns && change.modify_ns) return IN_ATTRIB;
  return change.access_ns ? IN_ACCESS : IN_MODIFY;
}

}  // namespace

Result<void> change_mode(Dentry& dentry, std::uint32_t mode) {
  QUIRE_CHECK(check_writable_mount(dentry));
  QUIRE_TRY(const Attributes now, dentry.inode()->attributes());
  const Identity who = filesystem_identity();
  if (!acts_as_owner(now, who)) return fail(Errno::kPerm);
  mode &= 07777U;
  if (!who.can(CAP_FSETID) && !who.in_group(now.gid)) mode &= ~static_cast<std::uint32_t>(S_ISGID);
  AttributeChange change;
  change.mode = mode;
  return apply(dentry, change, IN_ATTRIB);
}

Result<void> change_owner(Dentry& dentry, std::optional<std::uint32_t> uid,
                          std::optional<std::uint32_t> gid) {
  QUIRE_CHECK(check_writable_mount(dentry));
  QUIRE_TRY(const Attributes now, dentry.inode()->attributes());
  const Identity who = filesystem_identity();
  const bool is_owner = who.uid == now.uid;
  if (uid && !who.can(CAP_CHOWN) && !(is_owner && *uid == now.uid)) return fail(Errno::kPerm);
  if (gid && !who.can(CAP_CHOWN) && !(is_owner && (*gid == now.gid || who.in_group(*gid))))
    return fail(Errno::kPerm);
  AttributeChange change;
  change.uid = uid;
  change.gid = gid;
  const std::uint32_t mode =
      dentry.is_directory() ? now.mode : mode_after_chown(now.mode, who, now.gid);
  if (mode != now.mode) {
    // Even if neither id changes: then only the owner may.
    if (!acts_as_owner(now, who)) return fail(Errno::kPerm);
    change.mode = mode;
  }
  return apply(dentry, change, IN_ATTRIB);
}

Result<void> change_times(Dentry& dentry, TimeChange access, TimeChange modify) {
  using Kind = TimeChange::Kind;
  if (access.kind == Kind::kOmit && modify.kind == Kind::kOmit) return {};
  QUIRE_CHECK(check_writable_mount(dentry));
  QUIRE_TRY(const Attributes now, dentry.inode()->attributes());
  const Identity who = filesystem_identity();
  if (!acts_as_owner(now, who)) {
    if (access.kind != Kind::kNow || modify.kind != Kind::kNow) return fail(Errno::kPerm);
    QUIRE_CHECK(check_access(now, kMayWrite, who));
  }
  const auto time = static_cast<std::int64_t>(realtime_ns());
  AttributeChange change;
  if (access.kind != Kind::kOmit) change.access_ns = access.kind == Kind::kNow ? time : access.ns;
  if (modify.kind != Kind::kOmit) change.modify_ns = modify.kind == Kind::kNow ? time : modify.ns;
  return apply(dentry, change, event_of(change));
}

Result<void> check_file_size_limit(std::uint64_t end) {
  if (end <= current_rlimit(RLIMIT_FSIZE)) return {};
  signal_current(SIGXFSZ);
  return fail(Errno::kFBig);
}

Result<void> truncate_path(Dentry& dentry, std::uint64_t size) {
  if (dentry.is_directory()) return fail(Errno::kIsDir);
  if (dentry.type() != S_IFREG) return fail(Errno::kInval);
  QUIRE_CHECK(check_writable_mount(dentry));
  QUIRE_CHECK(check_access(*dentry.inode(), dentry.type(), kMayWrite, filesystem_identity()));
  QUIRE_CHECK(check_file_size_limit(size));
  AttributeChange change;
  change.size = size;
  return apply(dentry, change, IN_MODIFY);
}

Result<void> truncate_file(File& file, std::uint64_t size) {
  if (!file.writable()) return fail(Errno::kInval);
  QUIRE_TRY(const Attributes now, file.attributes());
  if ((now.mode & S_IFMT) != S_IFREG) return fail(Errno::kInval);
  QUIRE_CHECK(check_file_size_limit(size));
  QUIRE_CHECK(file.truncate(size));
  notify(file, IN_MODIFY);
  return {};
}

}  // namespace quire::kernel
