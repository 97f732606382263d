// semget(2), semop(2), semtimedop(2), semctl(2). Linux v6.12 ipc/sem.c.
#include <algorithm>

#include "ipc/calls.h"
#include "ipc/semaphores.h"
#include "mm/uaccess.h"
#include "task/time_arguments.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kMostSemaphores = SEMMNS;

Result<std::int32_t> new_set(std::int32_t key, std::int32_t count, std::uint32_t flags) {
  SemaphoreTable& table = semaphore_table();
  if (count == 0) return fail(Errno::kInval);
  if (table.semaphores + static_cast<std::uint64_t>(count) > kMostSemaphores) return fail(Errno::kNoSpc);
  QUIRE_CHECK(check_kernel_memory());
  QUIRE_TRY(const std::int32_t id, table.add(make_ref<SemaphoreSet>(key, flags, static_cast<std::size_t>(count))));
  table.semaphores += static_cast<std::uint64_t>(count);
  return id;
}

/// Whether the call may begin. Errors: EINVAL, EFBIG, EACCES.
Result<SemaphoreSet*> set_for(std::int32_t id, std::span<const sembuf> operations) {
  SemaphoreSet* const set = semaphore_table().find_id(id);
  if (set == nullptr) return fail(Errno::kInval);
  bool alters = false;
  for (const sembuf& operation : operations) {
    if (operation.sem_num >= set->all.size()) return fail(Errno::kFBig);
    alters = alters || operation.sem_op != 0;
  }
  QUIRE_CHECK(set->check(alters ? 0222 : 0444));
  return set;
}

/// Takes a call that did not come to its end out of the line. Returns how it ended.
SyscallResult give_up(SemaphoreWait& call, std::int32_t id, WaitResult why) {
  Guard guard(semaphore_table().mutex);
  if (!call.is_over) {
    semaphore_table().find_id(id)->leave_line(call);
    return fail(why == WaitResult::kTimedOut ? Errno::kAgain : Errno::kIntr);
  }
  if (call.error != Errno{0}) return fail(call.error);
  return 0;
}

SyscallResult operate(std::int32_t id, UserAddr from, std::uint64_t count, Deadline deadline) {
  if (count < 1 || id < 0) return fail(Errno::kInval);
  if (count > SEMOPM) return fail(Errno::kTooBig);
  std::vector<sembuf> operations(count);
  QUIRE_CHECK(copy_from_user(operations.data(), from, count * sizeof(sembuf)));
  const bool undoes = std::ranges::any_of(operations, [](const sembuf& o) { return (o.sem_flg & SEM_UNDO) != 0; });
  if (undoes) QUIRE_CHECK(check_kernel_memory());
  SemaphoreUndos* const undos = undoes ? &own_semaphore_undos() : nullptr;
  SemaphoreWait call;
  call.operations = operations;
  call.pid = current_pid();
  Sleeper sleeper;
  {
    Guard guard(semaphore_table().mutex);
    QUIRE_TRY(SemaphoreSet* const set, set_for(id, operations));
    if (undos != nullptr) call.adjustments = undos->of(*set);
    const Result<void> done = set->operate(call);
    if (done) return 0;
    if (done.error() != Errno::kAgain || (call.blocked_by->sem_flg & IPC_NOWAIT) != 0) return fail(done.error());
    set->stand_in_line(call);
    sleeper.add(call.ended);
  }
  for (;;) {
    const WaitResult woken = sleeper.sleep(Interruptible::kYes, deadline);
    {
      Guard guard(semaphore_table().mutex);
      if (woken == WaitResult::kDone && !call.is_over) continue;
    }
    return give_up(call, id, woken);
  }
}

SyscallResult tell_limits(std::uint32_t command, UserAddr to) {
  seminfo limits{};
  limits.semmni = SEMMNI;
  limits.semmns = SEMMNS;
  limits.semmsl = SEMMSL;
  limits.semopm = SEMOPM;
  limits.semvmx = SEMVMX;
  limits.semmnu = SEMMNU;
  limits.semmap = SEMMAP;
  limits.semume = SEMUME;
  limits.semusz = SEMUSZ;
  limits.semaem = SEMAEM;
  SemaphoreTable& table = semaphore_table();
  return tell_of_table(table, to, [&] {
    if (command == SEM_INFO) {
      limits.semusz = static_cast<int>(table.count());
      limits.semaem = static_cast<int>(table.semaphores);
    }
    return limits;
  });
}

/// IPC_STAT, SEM_STAT, SEM_STAT_ANY.
SyscallResult tell_set(std::int32_t id, std::uint32_t command, UserAddr to) {
  semid64_ds told{};
  {
    SemaphoreTable& table = semaphore_table();
    Guard guard(table.mutex);
    QUIRE_TRY(const SemaphoreSet* const set, table.find_to_tell(id, command == IPC_STAT, command == SEM_STAT_ANY));
    set->tell_permissions(told.sem_perm);
    told.sem_otime = set->operated;
    told.sem_ctime = set->changed;
    told.sem_nsems = set->all.size();
    id = set->id;
  }
  QUIRE_CHECK(put_user(to, told));
  return command == IPC_STAT ? 0 : id;
}

SyscallResult change_set(std::int32_t id, std::uint32_t command, UserAddr from) {
  semid64_ds wanted{};
  if (command == IPC_SET) {
    QUIRE_TRY(wanted, get_user<semid64_ds>(from));
  }
  SemaphoreTable& table = semaphore_table();
  Guard guard(table.mutex);
  SemaphoreSet* const set = table.find_id(id);
  if (set == nullptr) return fail(Errno::kInval);
  if (!set->is_owned_by_caller()) return fail(Errno::kPerm);
  if (command == IPC_SET) {
    QUIRE_CHECK(set->set_owner(wanted.sem_perm.uid, wanted.sem_perm.gid, wanted.sem_perm.mode));
    return 0;
  }
  set->end_line();
  table.forget_undos(id);
  table.semaphores -= set->all.size();
  table.drop(*set);
  return 0;
}

SyscallResult set_value(std::int32_t id, std::int32_t number, std::int32_t value) {
  if (value < 0 || value > SEMVMX) return fail(Errno::kRange);
  SemaphoreTable& table = semaphore_table();
  Guard guard(table.mutex);
  SemaphoreSet* const set = table.find_id(id);
  if (set == nullptr) return fail(Errno::kInval);
  const auto index = static_cast<std::size_t>(number);
  if (number < 0 || index >= set->all.size()) return fail(Errno::kInval);
  QUIRE_CHECK(set->check(0222));
  table.forget_undos(id, index);
  set->all[index] = {value, current_pid()};
  set->changed = ipc_time();
  set->serve_line();
  return 0;
}

SyscallResult tell_all(std::int32_t id, UserAddr to) {
  std::vector<std::uint16_t> values;
  {
    Guard guard(semaphore_table().mutex);
    const SemaphoreSet* const set = semaphore_table().find_id(id);
    if (set == nullptr) return fail(Errno::kInval);
    QUIRE_CHECK(set->check(0444));
    for (const SemaphoreSet::Semaphore& semaphore : set->all) values.push_back(static_cast<std::uint16_t>(semaphore.value));
  }
  QUIRE_CHECK(copy_to_user(to, values.data(), values.size() * sizeof values[0]));
  return 0;
}

SyscallResult set_all(std::int32_t id, UserAddr from) {
  std::vector<std::uint16_t> values;
  {
    Guard guard(semaphore_table().mutex);
    const SemaphoreSet* const set = semaphore_table().find_id(id);
    if (set == nullptr) return fail(Errno::kInval);
    QUIRE_CHECK(set->check(0222));
    values.resize(set->all.size());
  }
  QUIRE_CHECK(copy_from_user(values.data(), from, values.size() * sizeof values[0]));
  if (std::ranges::any_of(values, [](std::uint16_t value) { return value > SEMVMX; })) return fail(Errno::kRange);
  SemaphoreTable& table = semaphore_table();
  Guard guard(table.mutex);
  SemaphoreSet* const set = table.find_id(id);
  if (set == nullptr) return fail(kRemoved);
  for (std::size_t i = 0; i < values.size(); ++i) {
    table.forget_undos(id, i);
    set->all[i] = {values[i], current_pid()};
  }
  set->changed = ipc_time();
  set->serve_line();
  return 0;
}

SyscallResult tell_one(std::int32_t id, std::int32_t number, std::uint32_t command) {
  Guard guard(semaphore_table().mutex);
  const SemaphoreSet* const set = semaphore_table().find_id(id);
  if (set == nullptr) return fail(Errno::kInval);
  QUIRE_CHECK(set->check(0444));
  const auto index = static_cast<std::size_t>(number);
  if (number < 0 || index >= set->all.size()) return fail(Errno::kInval);
  switch (command) {
    case GETVAL:
      return set->all[index].value;
    case GETPID:
      return set->all[index].pid;
    case GETNCNT:
      return set->waiting(index, SemaphoreSet::For::kMore);
    default:  // GETZCNT
      return set->waiting(index, SemaphoreSet::For::kZero);
  }
}

}  // namespace

SyscallResult sys_semget(const SyscallArgs& args) {
  const auto key = static_cast<std::int32_t>(args.a[0]), count = static_cast<std::int32_t>(args.a[1]);
  const auto flags = static_cast<std::uint32_t>(args.a[2]);
  if (count < 0 || count > SEMMSL) return fail(Errno::kInval);
  Guard guard(semaphore_table().mutex);
  return get_ipc(
      semaphore_table(), key, flags, [&] { return new_set(key, count, flags); },
      [&](const SemaphoreSet& found) -> Result<void> {
        if (static_cast<std::size_t>(count) > found.all.size()) return fail(Errno::kInval);
        return {};
      });
}

SyscallResult sys_semop(const SyscallArgs& args) {
  return operate(static_cast<std::int32_t>(args.a[0]), args.a[1], static_cast<std::uint32_t>(args.a[2]), kForever);
}

SyscallResult sys_semtimedop(const SyscallArgs& args) {
  Deadline deadline = kForever;
  if (args.a[3] != 0) {
    QUIRE_TRY(const std::uint64_t duration, get_duration(args.a[3]));
    deadline = deadline_after(duration);
  }
  return operate(static_cast<std::int32_t>(args.a[0]), args.a[1], static_cast<std::uint32_t>(args.a[2]), deadline);
}

SyscallResult sys_semctl(const SyscallArgs& args) {
  const auto id = static_cast<std::int32_t>(args.a[0]), number = static_cast<std::int32_t>(args.a[1]);
  const auto command = static_cast<std::uint32_t>(args.a[2]);
  if (id < 0) return fail(Errno::kInval);
  switch (command) {
    case IPC_INFO:
    case SEM_INFO:
      return tell_limits(command, args.a[3]);
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
      return tell_set(id, command, args.a[3]);
    case IPC_SET:
    case IPC_RMID:
      return change_set(id, command, args.a[3]);
    case SETVAL:
      return set_value(id, number, static_cast<std::int32_t>(args.a[3]));
    case GETALL:
      return tell_all(id, args.a[3]);
    case SETALL:
      return set_all(id, args.a[3]);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
      return tell_one(id, number, command);
    default:
      return fail(Errno::kInval);
  }
}

}  // namespace quire::kernel
