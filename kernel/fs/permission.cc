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
  if (booting) return Identity::root();
  const Credentials& c = current_credentials();
  return {.uid = c.fsuid, .gid = c.fsgid, .groups = c.groups, .capabilities = c.capabilities.effective};
}

Identity real_identity() {
  const Credentials& c = current_credentials();
  return {.uid = c.uid, .gid = c.gid, .groups = c.groups, .capabilities = c.uid == 0 ? c.capabilities.permitted : 0};
}

namespace {

/// Whether capabilities give what the mode's bits do not.
bool overrides(std::uint32_t mode, std::uint32_t wanted, const Identity& who) {
  const bool is_directory = (mode & S_IFMT) == S_IFDIR;
  const bool only_looks = is_directory ? (wanted & kMayWrite) == 0 : wanted == kMayRead;
  if (only_looks && who.can(CAP_DAC_READ_SEARCH)) return true;
  const bool can_execute = is_directory || (mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
  return ((wanted & kMayExecute) == 0 || can_execute) && who.can(CAP_DAC_OVERRIDE);
}

}  // namespace

void leave_boot_identity() { booting = false; }

Result<void> check_access(const Attributes& attributes, std::uint32_t wanted, const Identity& who) {
  std::uint32_t granted = attributes.mode & 7;
  if (who.uid == attributes.uid) {
    granted = (attributes.mode >> 6) & 7;
  } else if (who.in_group(attributes.gid)) {
    granted = (attributes.mode >> 3) & 7;
  }
  return (wanted & ~granted) == 0 || overrides(attributes.mode, wanted, who) ? Result<void>() : fail(Errno::kAcces);
}

Result<void> check_access(Inode& inode, std::uint32_t type, std::uint32_t wanted,
                          const Identity& who) {
  if (who.can(CAP_DAC_OVERRIDE) && (type == S_IFDIR || (wanted & kMayExecute) == 0)) return {};
  QUIRE_TRY(const Attributes attributes, inode.attributes());
  return check_access(attributes, wanted, who);
}

bool acts_as_owner(const Attributes& attributes, const Identity& who) {
  return who.can(CAP_FOWNER) || who.uid == attributes.uid;
}

Ownership ownership_for_new(const Attributes& parent, std::uint32_t mode, const Identity& who) {
  Ownership result{.uid = who.uid, .gid = who.gid, .mode = mode};
  if ((parent.mode & S_ISGID) == 0) return result;
  result.gid = parent.gid;
  if ((mode & S_IFMT) == S_IFDIR) {
    result.mode |= S_ISGID;
  } else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !who.can(CAP_FSETID) &&
             !who.in_group(parent.gid)) {
    result.mode &= ~static_cast<std::uint32_t>(S_ISGID);
  }
  return result;
}

}  // namespace quire::kernel
