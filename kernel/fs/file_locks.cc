#include "fs/file_locks.h"

#include <linux/fcntl.h>
#include <linux/fs.h>

#include <algorithm>
#include <vector>

#include "mm/uaccess.h"
#include "sched/wait.h"
#include "syscall/syscall.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

/// Whom a lock can be in the way of: those of its own family.
enum class Family : std::uint8_t { kRecord, kWholeFile };
enum class Mode : std::uint8_t { kShared, kExclusive, kNone };

struct Lock {
  const Inode* inode;
  const void* owner;
  Family family;
  Mode mode;
  std::uint64_t first, last;  ///< bytes, inclusive
  Pid pid;

  [[nodiscard]] bool is_about(const Inode* file, Family kind) const {
    return inode == file && family == kind;
  }
  [[nodiscard]] bool overlaps(const Lock& other) const {
    return first <= other.last && other.first <= last;
  }
  [[nodiscard]] bool blocks(const Lock& wanted) const {
    return is_about(wanted.inode, wanted.family) && owner != wanted.owner && overlaps(wanted) &&
           (mode == Mode::kExclusive || wanted.mode == Mode::kExclusive);
  }
};

/// All locks there are.
struct Table {
  Mutex mutex;
  std::vector<Lock> locks;
  std::atomic<std::size_t> count{0};  ///< so that closing files need not take the mutex
  WaitQueue released;

  [[nodiscard]] const Lock* blocker_locked(const Lock& wanted) const {
    const auto it =
        std::ranges::find_if(locks, [&wanted](const Lock& lock) { return lock.blocks(wanted); });
    return it == locks.end() ? nullptr : &*it;
  }
  /// Replaces what the owner has in the range by `lock` (nothing, for kNone).
  void apply_locked(const Lock& lock);
  template <typename Matches>
  void release(Matches matches);
};

Table& table() {
  static Table& all = *new Table;  // never destroyed: no exit-time destructors in the kernel
  return all;
}

void Table::apply_locked(const Lock& lock) {
  std::vector<Lock> parts;
  for (Lock& own : locks) {
    if (!own.is_about(lock.inode, lock.family) || own.owner != lock.owner || !own.overlaps(lock))
      continue;
    Lock before = own, after = own;
    if (own.first < lock.first) {
      before.last = lock.first - 1;
      parts.push_back(before);
    }
    if (own.last > lock.last) {
      after.first = lock.last + 1;
      parts.push_back(after);
    }
    own.inode = nullptr;
  }
  std::erase_if(locks, [](const Lock& own) { return own.inode == nullptr; });
  locks.insert(locks.end(), parts.begin(), parts.end());
  if (lock.mode != Mode::kNone) locks.push_back(lock);
  count = locks.size();
}

template <typename Matches>
void Table::release(Matches matches) {
  if (count.load() == 0) return;
  std::size_t released_locks = 0;
  {
    Guard guard(mutex);
    released_locks = std::erase_if(locks, matches);
    count = locks.size();
  }
  if (released_locks != 0) released.wake_all();
}

enum class Blocking : std::uint8_t { kNo, kYes };

Result<void> acquire(const Lock& wanted, Blocking blocking) {
  Table& all = table();
  const auto try_acquire = [&all, &wanted] {
    Guard guard(all.mutex);
    if (wanted.mode != Mode::kNone && all.blocker_locked(wanted) != nullptr) return false;
    all.apply_locked(wanted);
    return true;
  };
  bool is_done = try_acquire();
  if (!is_done && blocking == Blocking::kYes) {
    if (wait_until(all.released, try_acquire, Interruptible::kYes) != WaitResult::kDone)
      return fail(kRestartSys);
    is_done = true;
  }
  if (!is_done) return fail(Errno::kAgain);
  // Giving up a lock, or making it a shared one, may be what others wait for.
  if (wanted.mode != Mode::kExclusive) all.released.wake_all();
  return {};
}

constexpr std::uint64_t kEnd = ~std::uint64_t{0} >> 1;

/// The range of a struct flock. Linux v6.12 fs/locks.c:flock64_to_posix_lock(). Errors: EINVAL,
/// EOVERFLOW.
Result<void> set_range(Lock& lock, File& file, const struct flock& from) {
  std::int64_t start = 0;
  switch (from.l_whence) {
    case SEEK_SET:
      break;
    case SEEK_CUR: {
      Guard guard(file.position_lock);
      start = static_cast<std::int64_t>(file.position);
      break;
    }
    case SEEK_END: {
      QUIRE_TRY(const Attributes now, file.attributes());
      start = static_cast<std::int64_t>(now.size);
      break;
    }
    default:
      return fail(Errno::kInval);
  }
  std::int64_t end = 0;
  if (__builtin_add_overflow(start, std::int64_t{from.l_start}, &start))
    return fail(Errno::kOverflow);
  if (start < 0) return fail(Errno::kInval);
  if (__builtin_add_overflow(start, std::int64_t{from.l_len}, &end)) return fail(Errno::kOverflow);
  if (from.l_len < 0) std::swap(start, end);
  if (start < 0) return fail(Errno::kInval);
  lock.first = static_cast<std::uint64_t>(start);
  lock.last = from.l_len == 0 ? kEnd : static_cast<std::uint64_t>(end - 1);
  return {};
}

Result<Mode> mode_of(short type) {
  switch (type) {
    case F_RDLCK:
      return Mode::kShared;
    case F_WRLCK:
      return Mode::kExclusive;
    case F_UNLCK:
      return Mode::kNone;
    default:
      return fail(Errno::kInval);
  }
}

/// F_GETLK: the lock in the way, or F_UNLCK.
Result<void> report_blocker(const Lock& wanted, struct flock& to) {
  if (wanted.mode == Mode::kNone) return fail(Errno::kInval);
  Table& all = table();
  Guard guard(all.mutex);
  const Lock* blocker = all.blocker_locked(wanted);
  to.l_type = F_UNLCK;
  if (blocker == nullptr) return {};
  to.l_type = blocker->mode == Mode::kExclusive ? F_WRLCK : F_RDLCK;
  to.l_whence = SEEK_SET;
  to.l_start = static_cast<__kernel_long_t>(blocker->first);
  to.l_len =
      blocker->last == kEnd ? 0 : static_cast<__kernel_long_t>(blocker->last - blocker->first + 1);
  to.l_pid = blocker->pid;
  return {};
}

}  // namespace

Result<std::int64_t> posix_lock_call(File& file, std::uint32_t command, std::uint64_t argument) {
  QUIRE_TRY(struct flock request, get_user<struct flock>(argument));
  const bool is_of_file =
      command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
  if (!file.inode || (is_of_file && request.l_pid != 0)) return fail(Errno::kInval);
  QUIRE_TRY(const Mode mode, mode_of(request.l_type));
  Lock wanted{.inode = file.inode.get(),
              .owner = is_of_file ? static_cast<const void*>(&file) : &current_files(),
              .family = Family::kRecord,
              .mode = mode,
              .first = 0,
              .last = kEnd,
              .pid = is_of_file ? -1 : current_pid()};
  QUIRE_CHECK(set_range(wanted, file, request));
  if (command == F_GETLK || command == F_OFD_GETLK) {
    QUIRE_CHECK(report_blocker(wanted, request));
    QUIRE_CHECK(put_user(argument, request));
    return 0;
  }
  if (mode == Mode::kShared && !file.readable()) return fail(Errno::kBadF);
  if (mode == Mode::kExclusive && !file.writable()) return fail(Errno::kBadF);
  const bool waits = command == F_SETLKW || command == F_OFD_SETLKW;
  QUIRE_CHECK(acquire(wanted, waits ? Blocking::kYes : Blocking::kNo));
  return 0;
}

Result<void> flock_file(File& file, std::uint32_t operation) {
  Mode mode = Mode::kNone;
  switch (operation & ~static_cast<std::uint32_t>(LOCK_NB)) {
    case LOCK_SH:
      mode = Mode::kShared;
      break;
    case LOCK_EX:
      mode = Mode::kExclusive;
      break;
    case LOCK_UN:
      break;
    default:
      return fail(Errno::kInval);
  }
  const Lock wanted{.inode = file.inode.get(),
                    .owner = &file,
                    .family = Family::kWholeFile,
                    .mode = mode,
                    .first = 0,
                    .last = kEnd,
                    .pid = current_pid()};
  return acquire(wanted, (operation & LOCK_NB) != 0 ? Blocking::kNo : Blocking::kYes);
}

void release_process_locks(const FdTable& closing, const File& file) {
  table().release([&closing, &file](const Lock& lock) {
    return lock.owner == &closing && lock.inode == file.inode.get();
  });
}

void release_file_locks(const File& file) {
  table().release([&file](const Lock& lock) { return lock.owner == &file; });
}

}  // namespace quire::kernel
