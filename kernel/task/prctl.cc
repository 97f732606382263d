// prctl and arch_prctl. Behaviour: man7 prctl(2), arch_prctl(2); what is not listed answers EINVAL,
// as an older Linux would.
#include <cstring>

#include "mm/memory.h"
#include "mm/uaccess.h"
#include "quire/vma/anon_name.h"
#include "sched/thread.h"
#include "task/calls.h"
#include "task/signals.h"

namespace quire::kernel {

namespace {

/// The fork policy of the calling process's memory: 0 asks, 1 tree, 2 leaf, 3 copy. Inherited. A
/// number of Quire's own.
constexpr std::uint32_t kForkPolicy = 0x51525345;
/// Whether it uses tables that files lend, from now on: 0 asks, 1 yes, 2 no. Inherited.
constexpr std::uint32_t kLendPolicy = 0x51525346;
constexpr std::int64_t kDefaultTimerSlack = 50'000;

SyscallResult fork_policy(std::uint64_t wanted) {
  AddressSpace& space = *current().space;
  switch (wanted) {
    case 0:
      break;
    case 1:
      space.set_fork_mode(ForkMode::kTree);
      return 0;
    case 2:
      space.set_fork_mode(ForkMode::kLeaf);
      return 0;
    case 3:
      space.set_fork_mode(ForkMode::kCopy);
      return 0;
    default:
      return fail(Errno::kInval);
  }
  switch (space.fork_mode()) {
    case ForkMode::kTree:
      return 1;
    case ForkMode::kLeaf:
      return 2;
    case ForkMode::kCopy:
      return 3;
  }
  return fail(Errno::kInval);
}

SyscallResult lend_policy(std::uint64_t wanted) {
  AddressSpace& space = *current().space;
  if (wanted > 2) return fail(Errno::kInval);
  if (wanted == 0) return space.borrows() ? 1 : 2;
  space.set_borrowing(wanted == 1);
  return 0;
}

SyscallResult set_name(UserAddr from) {
  Task& task = current();
  char name[sizeof task.command] = {};
  // Up to 15 bytes: the string may end right before memory that is not there.
  for (std::size_t i = 0; i + 1 < sizeof name; ++i) {
    QUIRE_TRY(name[i], get_user<char>(from + i));
    if (name[i] == '\0') break;
  }
  const TaskGuard guard(task_lock);
  std::memcpy(task.command, name, sizeof name);
  return 0;
}

SyscallResult set_parent_death_signal(std::uint64_t signal) {
  if (signal > kSignalCount) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  current().parent_death_signal = static_cast<int>(signal);
  return 0;
}

// Linux v6.12 kernel/sys.c:prctl_set_vma(). No string at all takes the name away.
SyscallResult set_memory_name(std::uint64_t option, UserAddr address, std::uint64_t length, UserAddr text) {
  if (option != PR_SET_VMA_ANON_NAME) return fail(Errno::kInval);
  std::optional<std::string> name;
  if (text != 0) {
    Result<std::string> given = copy_string_from_user(text, AnonName::kMaxLength + 1);
    if (!given) return fail(given.error() == Errno::kNameTooLong ? Errno::kInval : given.error());
    name = std::move(*given);
  }
  QUIRE_CHECK(current().space->set_name(VirtAddr(address), ByteCount(length), name));
  return 0;
}

template <typename T>
SyscallResult give(UserAddr to, T value) {
  QUIRE_CHECK(put_user(to, value));
  return 0;
}

bool is_canonical_user(std::uint64_t address) {
  return address < memory().geometry().user_top().raw();
}

}  // namespace

SyscallResult sys_prctl(const SyscallArgs& args) {
  Task& task = current();
  Process& process = *task.process;
  const std::uint64_t value = args.a[1];
  const bool rest_is_zero = args.a[2] == 0 && args.a[3] == 0 && args.a[4] == 0;
  switch (uint_argument(args, 0)) {
    case kForkPolicy:
      return fork_policy(value);
    case kLendPolicy:
      return lend_policy(value);
    case PR_SET_NAME:
      return set_name(value);
    case PR_GET_NAME:
      QUIRE_CHECK(copy_to_user(value, task.command, sizeof task.command));
      return 0;
    case PR_SET_PDEATHSIG:
      return set_parent_death_signal(value);
    case PR_GET_PDEATHSIG:
      return give(value, std::int32_t{task.parent_death_signal});
    case PR_SET_DUMPABLE:
      if (value > 1) return fail(Errno::kInval);
      process.dumpable = static_cast<int>(value);
      return 0;
    case PR_GET_DUMPABLE:
      return process.dumpable;
    case PR_SET_NO_NEW_PRIVS:
      if (value != 1 || !rest_is_zero) return fail(Errno::kInval);
      process.no_new_privileges = true;
      return 0;
    case PR_GET_NO_NEW_PRIVS:
      if (value != 0 || !rest_is_zero) return fail(Errno::kInval);
      return process.no_new_privileges ? 1 : 0;
    case PR_SET_CHILD_SUBREAPER:
      process.is_subreaper = value != 0;
      return 0;
    case PR_GET_CHILD_SUBREAPER:
      return give(value, std::int32_t{process.is_subreaper});
    case PR_SET_VMA:
      return set_memory_name(value, args.a[2], args.a[3], args.a[4]);
    case PR_GET_TID_ADDRESS:
      return give(value, task.clear_child_tid);
    case PR_GET_TIMERSLACK:
      return kDefaultTimerSlack;
    case PR_SET_TIMERSLACK:
    case PR_GET_KEEPCAPS:
    case PR_GET_SECUREBITS:
    case PR_GET_THP_DISABLE:
      return 0;
    case PR_CAPBSET_READ:
      if (value > CAP_LAST_CAP) return fail(Errno::kInval);
      return 1;
    case PR_CAPBSET_DROP:
      return fail(Errno::kPerm);
    default:
      return fail(Errno::kInval);
  }
}

SyscallResult sys_arch_prctl(const SyscallArgs& args) {
  Task& task = current();
  const std::uint64_t value = args.a[1];
  switch (int_argument(args, 0)) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
      if (!is_canonical_user(value)) return fail(Errno::kPerm);
      (int_argument(args, 0) == ARCH_SET_FS ? task.fs_base : task.gs_base) = value;
      task.load_bases();
      return 0;
    case ARCH_GET_FS:
      return give(value, task.fs_base);
    case ARCH_GET_GS:
      return give(value, task.gs_base);
    default:
      return fail(Errno::kInval);
  }
}

}  // namespace quire::kernel
