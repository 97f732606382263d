// Who a task is: process and thread numbers, user and group ids, capabilities. Behaviour: man7
// credentials(7), setuid(2), setreuid(2), setresuid(2), capget(2); Linux v6.12 kernel/sys.c.
#include <optional>

#include "task/calls.h"
#include "task/signals.h"
#include "task/task_limits.h"

namespace quire::kernel {

namespace {

constexpr std::uint32_t kKeep = ~std::uint32_t{0};  // −1: leave this id alone
constexpr int kMostGroups = 65536;

/// The ids of one sort, for rules that hold for users and groups alike.
struct Ids {
  std::uint32_t real, effective, saved, filesystem;
  [[nodiscard]] bool has(std::uint32_t id) const {
    return id == real || id == effective || id == saved;
  }
};

enum class Sort : std::uint8_t { kUser, kGroup };

Ids ids_of(const Credentials& c, Sort sort) {
  return sort == Sort::kUser ? Ids{c.uid, c.euid, c.suid, c.fsuid}
                             : Ids{c.gid, c.egid, c.sgid, c.fsgid};
}

void put_ids(Credentials& c, Sort sort, const Ids& ids) {
  if (sort == Sort::kUser) {
    c.uid = ids.real, c.euid = ids.effective, c.suid = ids.saved, c.fsuid = ids.filesystem;
  } else {
    c.gid = ids.real, c.egid = ids.effective, c.sgid = ids.saved, c.fsgid = ids.filesystem;
  }
}

/// Whether who was `before` may hold what `after` must not show to others of its kind. Linux v6.12 kernel/cred.c:commit_creds().
bool hides_memory(const Credentials& before, const Credentials& after) {
  const bool gains = (after.capabilities.permitted & ~before.capabilities.permitted) != 0;
  return before.euid != after.euid || before.egid != after.egid || before.fsuid != after.fsuid || before.fsgid != after.fsgid || gains;
}

void replace_credentials(Credentials wanted) {
  RefPtr<SharedCredentials> fresh = make_ref<SharedCredentials>(std::move(wanted));
  RefPtr<SharedLimits> limits;
  {
    const TaskGuard guard(task_lock);
    std::swap(current().credentials, fresh);
    if (hides_memory(fresh->value, current_credentials())) current_process().dumpable = 0;
    limits = current_process().limits;
  }
  // How much memory may be locked depends on who asks.
  const Credentials& now = current_credentials();
  if (now.can(CAP_IPC_LOCK) != fresh->value.can(CAP_IPC_LOCK)) current().space->set_limits(memory_limits(*limits, now));
}

/// Whether ids of that sort may become what they are not.
bool may_take_any(const Credentials& own, Sort sort) { return own.can(sort == Sort::kUser ? CAP_SETUID : CAP_SETGID); }

/// What is left when the real, effective and saved users change. Linux v6.12 security/commoncap.c:cap_emulate_setxuid().
Capabilities capabilities_after(const Credentials& before, const Credentials& after) {
  const auto is_root_anywhere = [](const Credentials& c) { return c.uid == 0 || c.euid == 0 || c.suid == 0; };
  Capabilities left = before.capabilities;
  if (is_root_anywhere(before) && !is_root_anywhere(after)) left.permitted = left.effective = 0;
  if (before.euid == 0 && after.euid != 0) left.effective = 0;
  if (before.euid != 0 && after.euid == 0) left.effective = left.permitted;
  return left;
}

/// The same for setfsuid(2), which concerns what files' capabilities are about: Linux v6.12 include/linux/capability.h: CAP_FS_SET.
Capabilities capabilities_after_filesystem_user(const Credentials& before, std::uint32_t user) {
  constexpr std::uint64_t kAboutFiles = std::uint64_t{1} << CAP_CHOWN | std::uint64_t{1} << CAP_DAC_OVERRIDE |
                                        std::uint64_t{1} << CAP_DAC_READ_SEARCH | std::uint64_t{1} << CAP_FOWNER |
                                        std::uint64_t{1} << CAP_FSETID | std::uint64_t{1} << CAP_LINUX_IMMUTABLE |
                                        std::uint64_t{1} << CAP_MKNOD | std::uint64_t{1} << CAP_MAC_OVERRIDE;
  Capabilities left = before.capabilities;
  if (before.fsuid == 0 && user != 0) left.effective &= ~kAboutFiles;
  if (before.fsuid != 0 && user == 0) left.effective |= left.permitted & kAboutFiles;
  return left;
}

SyscallResult change_ids(Sort sort, const Ids& wanted) {
  Credentials changed = current_credentials();
  put_ids(changed, sort, wanted);
  if (sort == Sort::kUser) changed.capabilities = capabilities_after(current_credentials(), changed);
  replace_credentials(std::move(changed));
  return 0;
}

SyscallResult set_one(Sort sort, std::uint32_t id) {
  const Credentials& own = current_credentials();
  Ids ids = ids_of(own, sort);
  if (id == kKeep) return fail(Errno::kInval);
  if (may_take_any(own, sort)) {
    ids.real = ids.saved = id;
  } else if (id != ids.real && id != ids.saved) {
    return fail(Errno::kPerm);
  }
  ids.effective = ids.filesystem = id;
  return change_ids(sort, ids);
}

SyscallResult set_two(Sort sort, std::uint32_t real, std::uint32_t effective) {
  const Credentials& own = current_credentials();
  const Ids old = ids_of(own, sort);
  Ids ids = old;
  if (real != kKeep) {
    if (real != old.real && real != old.effective && !may_take_any(own, sort)) return fail(Errno::kPerm);
    ids.real = real;
  }
  if (effective != kKeep) {
    if (!old.has(effective) && !may_take_any(own, sort)) return fail(Errno::kPerm);
    ids.effective = effective;
  }
  if (real != kKeep || (effective != kKeep && effective != old.real)) ids.saved = ids.effective;
  ids.filesystem = ids.effective;
  return change_ids(sort, ids);
}

SyscallResult set_three(Sort sort, std::uint32_t real, std::uint32_t effective,
                        std::uint32_t saved) {
  const Credentials& own = current_credentials();
  const Ids old = ids_of(own, sort);
  for (const std::uint32_t id : {real, effective, saved}) {
    if (id != kKeep && !old.has(id) && !may_take_any(own, sort)) return fail(Errno::kPerm);
  }
  Ids ids = old;
  if (real != kKeep) ids.real = real;
  if (effective != kKeep) ids.effective = effective;
  if (saved != kKeep) ids.saved = saved;
  ids.filesystem = ids.effective;
  return change_ids(sort, ids);
}

/// Returns the old id whether or not it changed, as these calls do.
SyscallResult set_filesystem(Sort sort, std::uint32_t id) {
  const Credentials& own = current_credentials();
  Ids ids = ids_of(own, sort);
  const std::uint32_t old = ids.filesystem;
  if (id != kKeep && (ids.has(id) || id == old || may_take_any(own, sort))) {
    Credentials changed = own;
    ids.filesystem = id;
    put_ids(changed, sort, ids);
    if (sort == Sort::kUser) changed.capabilities = capabilities_after_filesystem_user(own, id);
    replace_credentials(std::move(changed));
  }
  return old;
}

SyscallResult get_three(const SyscallArgs& args, Sort sort) {
  const Ids ids = ids_of(current_credentials(), sort);
  QUIRE_CHECK(put_user(address_argument(args, 0), ids.real));
  QUIRE_CHECK(put_user(address_argument(args, 1), ids.effective));
  QUIRE_CHECK(put_user(address_argument(args, 2), ids.saved));
  return 0;
}

}  // namespace

SyscallResult sys_getpid(const SyscallArgs&) { return current_pid(); }
SyscallResult sys_gettid(const SyscallArgs&) { return current_tid(); }
SyscallResult sys_getppid(const SyscallArgs&) {
  const TaskGuard guard(task_lock);
  const Process* const parent = current_process().parent;
  return parent == nullptr ? 0 : parent->pid;
}

SyscallResult sys_getuid(const SyscallArgs&) { return current_credentials().uid; }
SyscallResult sys_geteuid(const SyscallArgs&) { return current_credentials().euid; }
SyscallResult sys_getgid(const SyscallArgs&) { return current_credentials().gid; }
SyscallResult sys_getegid(const SyscallArgs&) { return current_credentials().egid; }
SyscallResult sys_getresuid(const SyscallArgs& args) { return get_three(args, Sort::kUser); }
SyscallResult sys_getresgid(const SyscallArgs& args) { return get_three(args, Sort::kGroup); }

SyscallResult sys_setuid(const SyscallArgs& args) {
  return set_one(Sort::kUser, uint_argument(args, 0));
}
SyscallResult sys_setgid(const SyscallArgs& args) {
  return set_one(Sort::kGroup, uint_argument(args, 0));
}
SyscallResult sys_setreuid(const SyscallArgs& args) {
  return set_two(Sort::kUser, uint_argument(args, 0), uint_argument(args, 1));
}
SyscallResult sys_setregid(const SyscallArgs& args) {
  return set_two(Sort::kGroup, uint_argument(args, 0), uint_argument(args, 1));
}
SyscallResult sys_setresuid(const SyscallArgs& args) {
  return set_three(Sort::kUser, uint_argument(args, 0), uint_argument(args, 1),
                   uint_argument(args, 2));
}
SyscallResult sys_setresgid(const SyscallArgs& args) {
  return set_three(Sort::kGroup, uint_argument(args, 0), uint_argument(args, 1),
                   uint_argument(args, 2));
}
SyscallResult sys_setfsuid(const SyscallArgs& args) {
  return set_filesystem(Sort::kUser, uint_argument(args, 0));
}
SyscallResult sys_setfsgid(const SyscallArgs& args) {
  return set_filesystem(Sort::kGroup, uint_argument(args, 0));
}

SyscallResult sys_getgroups(const SyscallArgs& args) {
  const int room = int_argument(args, 0);
  const std::vector<std::uint32_t>& groups = current_credentials().groups;
  const auto count = static_cast<int>(groups.size());
  if (room < 0 || (room != 0 && room < count)) return fail(Errno::kInval);
  if (room != 0)
    QUIRE_CHECK(copy_to_user(address_argument(args, 1), groups.data(),
                             groups.size() * sizeof(std::uint32_t)));
  return count;
}

SyscallResult sys_setgroups(const SyscallArgs& args) {
  const int count = int_argument(args, 0);
  if (!current_credentials().can(CAP_SETGID)) return fail(Errno::kPerm);
  if (count < 0 || count > kMostGroups) return fail(Errno::kInval);
  // The kernel's heap gives blocks of 64 KiB at most.
  constexpr int kRoom = 16384;
  if (count > kRoom) return fail(Errno::kNoMem);
  Credentials changed = current_credentials();
  changed.groups.resize(static_cast<std::size_t>(count));
  QUIRE_CHECK(copy_from_user(changed.groups.data(), address_argument(args, 1),
                             changed.groups.size() * sizeof(std::uint32_t)));
  replace_credentials(std::move(changed));
  return 0;
}

namespace {

using CapabilityHeader = __user_cap_header_struct;
using CapabilityData = __user_cap_data_struct;

/// Words of the capability sets in a version of the interface. Errors: EINVAL; the version we like
/// is then written back.
Result<unsigned> capability_words(UserAddr header_at, CapabilityHeader& header) {
  QUIRE_CHECK(copy_from_user(&header, header_at, sizeof header));
  switch (header.version) {
    case _LINUX_CAPABILITY_VERSION_1:
      return _LINUX_CAPABILITY_U32S_1;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
      return _LINUX_CAPABILITY_U32S_3;
    default:
      break;
  }
  header.version = _LINUX_CAPABILITY_VERSION_3;
  QUIRE_CHECK(copy_to_user(header_at, &header, sizeof header));
  return fail(Errno::kInval);
}

/// One of the words in which programs see a set of 64.
std::uint32_t word_of(std::uint64_t set, unsigned word) { return static_cast<std::uint32_t>(set >> (32 * word)); }

/// The sets that a program gives, in that many words; what no kernel knows is left out.
Result<Capabilities> capabilities_from_user(UserAddr from, unsigned words) {
  Capabilities given;
  for (unsigned i = 0; i < words; ++i) {
    QUIRE_TRY(const auto data, get_user<CapabilityData>(from + i * sizeof(CapabilityData)));
    const unsigned shift = 32 * i;
    given.permitted |= std::uint64_t{data.permitted} << shift & Capabilities::kAll;
    given.effective |= std::uint64_t{data.effective} << shift & Capabilities::kAll;
    given.inheritable |= std::uint64_t{data.inheritable} << shift & Capabilities::kAll;
  }
  return given;
}

}  // namespace

SyscallResult sys_capget(const SyscallArgs& args) {
  CapabilityHeader header{};
  const UserAddr data_at = address_argument(args, 1);
  const Result<unsigned> words = capability_words(address_argument(args, 0), header);
  if (!words) {
    // With no place for data this is how programs ask for the version.
    if (words.error() == Errno::kInval && data_at == 0) return 0;
    return fail(words.error());
  }
  if (header.pid < 0) return fail(Errno::kInval);
  Capabilities sets;
  {
    const TaskGuard guard(task_lock);
    const Task* const task = header.pid == 0 ? &current() : tree().find_task(header.pid);
    if (task == nullptr) return fail(Errno::kSrch);
    sets = task->credentials->value.capabilities;
  }
  if (data_at == 0) return 0;
  for (unsigned i = 0; i < *words; ++i) {
    const CapabilityData data{
        .effective = word_of(sets.effective, i), .permitted = word_of(sets.permitted, i), .inheritable = word_of(sets.inheritable, i)};
    QUIRE_CHECK(put_user(data_at + i * sizeof data, data));
  }
  return 0;
}

/// Permitted ones can only be given up, effective ones chosen among them. Linux v6.12 security/commoncap.c:cap_capset(). Errors: EPERM.
SyscallResult sys_capset(const SyscallArgs& args) {
  CapabilityHeader header{};
  QUIRE_TRY(const unsigned words, capability_words(address_argument(args, 0), header));
  if (header.pid != 0 && header.pid != current_tid()) return fail(Errno::kPerm);
  QUIRE_TRY(const Capabilities wanted, capabilities_from_user(address_argument(args, 1), words));
  const Credentials& own = current_credentials();
  const Capabilities& had = own.capabilities;
  if ((wanted.inheritable & ~(had.inheritable | had.permitted)) != 0 && !own.can(CAP_SETPCAP)) return fail(Errno::kPerm);
  if ((wanted.permitted & ~had.permitted) != 0 || (wanted.effective & ~wanted.permitted) != 0) return fail(Errno::kPerm);
  Credentials changed = own;
  changed.capabilities = wanted;
  replace_credentials(std::move(changed));
  return 0;
}

}  // namespace quire::kernel
