// What the objects of System V IPC have in common: keys, ids, owners and rights (man7 sysvipc(7); Linux v6.12 ipc/util.c).
//
// Locks: a table's mutex guards the table and all fields of its objects.
#pragma once

#include <asm/errno.h>
#include <linux/ipc.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "lib/ref_ptr.h"
#include "mm/uaccess.h"
#include "quire/base/errno.h"
#include "sync/lock.h"
#include "task/task.h"

namespace quire::kernel {

inline constexpr Errno kRemoved{EIDRM}, kNoMessage{ENOMSG};

/// What objects keep is the kernel's memory, of which enough must stay for others. Errors: ENOMEM.
[[nodiscard]] Result<void> check_kernel_memory();
/// Seconds since the epoch.
[[nodiscard]] std::int64_t ipc_time();

class IpcObject : public RefCounted {
 public:
  /// `wanted`: bits as in a mode, of any class. Errors: EACCES.
  [[nodiscard]] Result<void> check(std::uint32_t wanted) const;
  [[nodiscard]] bool is_owned_by_caller() const;
  /// IPC_SET. Errors: EINVAL (no such user).
  Result<void> set_owner(std::uint32_t new_uid, std::uint32_t new_gid, std::uint32_t new_mode);
  /// struct ipc64_perm, whichever header defines it.
  template <typename Permissions>
  void tell_permissions(Permissions& to) const {
    to.key = key;
    to.uid = uid;
    to.gid = gid;
    to.cuid = creator_uid;
    to.cgid = creator_gid;
    to.mode = mode;
    to.seq = static_cast<unsigned short>(id >> 15);
  }

  std::int32_t id = -1, key;
  std::uint32_t mode, uid, gid;
  const std::uint32_t creator_uid, creator_gid;
  std::int64_t changed;  ///< seconds since the epoch

 protected:
  /// Of the caller's.
  IpcObject(std::int32_t wanted_key, std::uint32_t permissions);
  ~IpcObject() override = default;
};

/// The numbers of one kind of object: an index, and a count that goes up so that old ids name nothing.
class IpcTable {
 public:
  Mutex mutex;

  // Pre of all: the mutex is held.
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// The highest index in use, or 0.
  [[nodiscard]] std::int64_t last_index() const;

 protected:
  explicit IpcTable(std::uint64_t most) : most_(most) {}
  ~IpcTable() = default;
  [[nodiscard]] IpcObject* object_with_key(std::int32_t key) const;
  [[nodiscard]] IpcObject* object_with_id(std::int32_t id) const;
  [[nodiscard]] IpcObject* object_at(std::size_t index) const { return index < slots_.size() ? slots_[index].get() : nullptr; }
  [[nodiscard]] const std::vector<RefPtr<IpcObject>>& slots() const { return slots_; }
  /// Errors: ENOSPC.
  Result<std::int32_t> add_object(RefPtr<IpcObject> object);
  /// Takes it out; the caller holds it.
  void drop_object(const IpcObject& object);

 private:
  const std::uint64_t most_;
  std::vector<RefPtr<IpcObject>> slots_;
  std::size_t last_used_ = ~std::size_t{0};
  std::int32_t sequence_ = 0;
  std::uint64_t count_ = 0;
};

/// The same of objects whose class is known.
template <typename Object>
class IpcTableOf : public IpcTable {
 public:
  explicit IpcTableOf(std::uint64_t most) : IpcTable(most) {}
  [[nodiscard]] Object* find_key(std::int32_t key) const { return static_cast<Object*>(object_with_key(key)); }
  [[nodiscard]] Object* find_id(std::int32_t id) const { return static_cast<Object*>(object_with_id(id)); }
  [[nodiscard]] Object* at(std::size_t index) const { return static_cast<Object*>(object_at(index)); }
  /// What IPC_STAT asks about by its id and ..._STAT by its index, as one may who can read it, ..._STAT_ANY as anybody. Errors: EINVAL,
  /// EACCES.
  [[nodiscard]] Result<Object*> find_to_tell(std::int32_t number, bool is_id, bool is_anybodys) const {
    Object* const found = is_id ? find_id(number) : at(static_cast<std::size_t>(number));
    if (found == nullptr) return fail(Errno::kInval);
    if (!is_anybodys) QUIRE_CHECK(found->check(0444));
    return found;
  }
  template <typename F>
  void for_each(F function) const {
    for (const RefPtr<IpcObject>& slot : slots()) {
      if (slot) function(static_cast<Object&>(*slot));
    }
  }
  Result<std::int32_t> add(RefPtr<Object> object) { return add_object(std::move(object)); }
  void drop(const Object& object) { drop_object(object); }
};

/// Tells what `fill()` says, which has the table to itself; the caller's memory is touched without it, since a program may resolve the
/// fault (userfaultfd). Returns the highest index in use. Errors: EFAULT.
template <typename Object, typename Fill>
Result<std::int64_t> tell_of_table(IpcTableOf<Object>& table, UserAddr to, Fill fill) {
  std::int64_t last = 0;
  const auto told = [&] {
    Guard guard(table.mutex);
    last = table.last_index();
    return fill();
  }();
  QUIRE_CHECK(put_user(to, told));
  return last;
}

/// What `made` points to, made at the first call; it stays.
template <typename T>
T& made_once(std::atomic<T*>& made) {
  if (T* const there = made.load(std::memory_order_acquire); there != nullptr) return *there;
  auto fresh = std::make_unique<T>();
  T* none = nullptr;
  if (!made.compare_exchange_strong(none, fresh.get(), std::memory_order_acq_rel)) return *none;
  return *fresh.release();
}

/// What shmget, semget and msgget have in common: finds the object of `key`, or makes one. `make()` gives its id; `fits(object)` says why
/// it does not do. Pre: the table's mutex is held.
template <typename Object, typename Make, typename Fits>
Result<std::int64_t> get_ipc(const IpcTableOf<Object>& table, std::int32_t key, std::uint32_t flags, Make make, Fits fits) {
  Object* const found = key == IPC_PRIVATE ? nullptr : table.find_key(key);
  if (found == nullptr) {
    if (key != IPC_PRIVATE && (flags & IPC_CREAT) == 0) return fail(Errno::kNoEnt);
    QUIRE_TRY(const std::int32_t made, make());
    return made;
  }
  if ((flags & IPC_CREAT) != 0 && (flags & IPC_EXCL) != 0) return fail(Errno::kExist);
  QUIRE_CHECK(fits(*found));
  QUIRE_CHECK(found->check(flags));
  return found->id;
}

/// /proc/sysvipc: what ipcs shows.
void write_shared_memory(std::string& out);
void write_semaphores(std::string& out);
void write_message_queues(std::string& out);

}  // namespace quire::kernel
