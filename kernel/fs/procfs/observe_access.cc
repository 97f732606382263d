#include "fs/procfs/observe_access.h"

namespace quire::kernel {

Result<void> may_observe(const ProcessIdentity& identity) {
  QUIRE_TRY(const auto process, identity.snapshot());
  return may_access(*process, filesystem_identity());
}

Result<void> may_access(const ProcessSnapshot& process, const Identity& who) {
  if (process.pid == current_pid() || filesystem_identity().can(CAP_SYS_PTRACE)) return {};
  const Credentials& its = process.credentials;
  const bool same_user = who.uid == its.uid && who.uid == its.euid && who.uid == its.suid;
  const bool same_group = who.gid == its.gid && who.gid == its.egid && who.gid == its.sgid;
  if (!same_user || !same_group) return fail(Errno::kAcces);
  return {};
}

}  // namespace quire::kernel
