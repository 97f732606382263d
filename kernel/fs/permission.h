// Who may do what to a file: Linux's discretionary access control, with the capabilities that concern
// files.
//
// ACLs and security modules are not there.
#pragma once

#include <cstdint>
#include <span>

#include "fs/vfs.h"
#include "task/capabilities.h"

namespace quire::kernel {

/// Bits of the access wanted, as in access(2).
inline constexpr std::uint32_t kMayExecute = 1, kMayWrite = 2, kMayRead = 4;

/// In whose name a file operation is done.
struct Identity {
  std::uint32_t uid = 0, gid = 0;
  std::span<const std::uint32_t> groups;
  std::uint64_t capabilities = 0;
  static constexpr Identity root() { return {.groups = {}, .capabilities = Capabilities::kAll}; }
  [[nodiscard]] bool can(unsigned capability) const { return Capabilities::contains(capabilities, capability); }
  [[nodiscard]] bool in_group(std::uint32_t wanted) const;
};

/// The current task's fsuid and fsgid; while file systems are being mounted at boot, root.
Identity filesystem_identity();
/// The current task's real uid and gid, for access(2).
Identity real_identity();
/// From here on filesystem_identity() asks the current task.
void leave_boot_identity();

/// Errors: EACCES. Linux v6.12 fs/namei.c:generic_permission().
Result<void> check_access(const Attributes& attributes, std::uint32_t wanted, const Identity& who);
/// As above for an inode of that type (S_IFMT bits); root on directories needs no attributes.
Result<void> check_access(Inode& inode, std::uint32_t type, std::uint32_t wanted,
                          const Identity& who);
/// Whether `who` owns the file or may act as its owner. Linux v6.12
/// fs/inode.c:inode_owner_or_capable().
bool acts_as_owner(const Attributes& attributes, const Identity& who);
/// The group and mode of something made in `parent`: a set-group-ID directory gives its group to
/// what is made in it, and the bit to directories. Linux v6.12 fs/inode.c:inode_init_owner().
struct Ownership {
  std::uint32_t uid, gid, mode;
};
Ownership ownership_for_new(const Attributes& parent, std::uint32_t mode, const Identity& who);

}  // namespace quire::kernel
