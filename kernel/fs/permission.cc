#include "fs/permission.h"

#include <sys/stat.h>

#include <algorithm>

#include "task/task.h"

namespace quire::kernel {
namespace {
bool booting = true;
}

bool Identity::in_group(std::uint32_t wanted) const {
  return wanted == gid || std::ranges::find(groups, wanted) != groups.end();
}

Identity filesystem_identity() {
  if (booting) return {};
  const Credentials& c = current_credentials();
  return {.uid = c.fsuid, .gid = c.fsgid, .groups = c.groups};
}

Identity real_identity() {
  const Credentials& c = current_credentials();
  return {.uid = c.uid, .gid = c.gid, .groups = c.groups};
}

void leave_boot_identity() { booting = false; }

Result<void> check_access(const Attributes& attributes, std::uint32_t wanted, const Identity& who) {
  const bool is_directory = (attributes.mode & S_IFMT) == S_IFDIR;
  if (who.is_root()) {
    const bool can_execute = is_directory || (attributes.mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
    if ((wanted & kMayExecute) != 0 && !can_execute) return fail(Errno::kAcces);
    return {};
  }
  std::uint32_t granted = attributes.mode & 7;
  if (who.uid == attributes.uid) {
    granted = (attributes.mode >> 6) & 7;
  } else if (who.in_group(attributes.gid)) {
    granted = (attributes.mode >> 3) & 7;
  }
  if ((wanted & ~granted) != 0) return fail(Errno::kAcces);
  return {};
}

Result<void> check_access(Inode& inode, std::uint32_t type, std::uint32_t wanted,
                          const Identity& who) {
  if (who.is_root() && (type == S_IFDIR || (wanted & kMayExecute) == 0)) return {};
  QUIRE_TRY(const Attributes attributes, inode.attributes());
  return check_access(attributes, wanted, who);
}

bool acts_as_owner(const Attributes& attributes, const Identity& who) {
  return who.is_root() || who.uid == attributes.uid;
}

Ownership ownership_for_new(const Attributes& parent, std::uint32_t mode, const Identity& who) {
  Ownership result{.uid = who.uid, .gid = who.gid, .mode = mode};
  if ((parent.mode & S_ISGID) == 0) return result;
  result.gid = parent.gid;
  if ((mode & S_IFMT) == S_IFDIR) {
    result.mode |= S_ISGID;
  } else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !who.is_root() &&
             !who.in_group(parent.gid)) {
    result.mode &= ~static_cast<std::uint32_t>(S_ISGID);
  }
  return result;
}

}  // namespace quire::kernel
