// System V semaphores: sets of counters, changed several at a time or not at all (man7 semop(2); Linux v6.12 ipc/sem.c).
//
// Life cycle of a set: made by semget; in the table until IPC_RMID. A call that must wait stands in its set's line, and whoever changes a
// counter carries out what has become possible, in the order of the line, for those who sleep. What a call with SEM_UNDO did is noted in
// the task's SemaphoreUndos and taken back when the last task that shares those ends.
// Locks: the table's mutex guards all of it.
#pragma once

#include <linux/sem.h>

#include <boost/intrusive/list.hpp>
#include <span>

#include "ipc/system_v.h"
#include "sched/wait.h"

namespace quire::kernel {

class SemaphoreSet;
class SemaphoreUndos;

/// A call in a set's line.
struct SemaphoreWait {
  std::span<const sembuf> operations;
  std::int16_t* adjustments = nullptr;  ///< of the caller in that set, if an operation is to be undone
  Pid pid = 0;
  const sembuf* blocked_by = nullptr;  ///< the operation that has to wait
  bool is_over = false;
  Errno error{0};  ///< how it ended
  WaitQueue ended;
  boost::intrusive::list_member_hook<> hook;
};

class SemaphoreSet final : public IpcObject {
 public:
  struct Semaphore {
    std::int32_t value = 0;
    Pid pid = 0;
  };

  SemaphoreSet(std::int32_t wanted_key, std::uint32_t permissions, std::size_t count) : IpcObject(wanted_key, permissions), all(count) {}

  /// Carries the operations out, all or none, and then what others wait for. Errors: EAGAIN (must wait: `blocked_by` says for what),
  /// ERANGE.
  Result<void> operate(SemaphoreWait& call);
  void stand_in_line(SemaphoreWait& call) { line_.push_back(call); }
  void leave_line(SemaphoreWait& call) { line_.erase(line_.iterator_to(call)); }
  /// Values have changed otherwise.
  void serve_line();
  /// Everybody in the line is told EIDRM.
  void end_line();
  /// How many wait for semaphore `number` to grow, or to be zero.
  enum class For : std::uint8_t { kMore, kZero };
  [[nodiscard]] std::int64_t waiting(std::size_t number, For what) const;

  std::vector<Semaphore> all;
  std::int64_t operated = 0;  ///< seconds since the epoch

 private:
  ~SemaphoreSet() override = default;
  using Line = boost::intrusive::list<
      SemaphoreWait, boost::intrusive::member_hook<SemaphoreWait, boost::intrusive::list_member_hook<>, &SemaphoreWait::hook>>;
  Result<void> carry_out(SemaphoreWait& call);

  Line line_;
};

class SemaphoreTable final : public IpcTableOf<SemaphoreSet> {
 public:
  SemaphoreTable() : IpcTableOf(SEMMNI) {}
  /// Takes back what it noted for the set.
  void forget_undos(std::int32_t id);
  void forget_undos(std::int32_t id, std::size_t number);

  std::uint64_t semaphores = 0;  ///< in all sets

 private:
  friend class SemaphoreUndos;
  std::vector<SemaphoreUndos*> undos_;
};
SemaphoreTable& semaphore_table();

/// What tasks that share it have to give back when the last of them ends: for each set an adjustment for each semaphore.
class SemaphoreUndos final : public RefCounted {
 public:
  SemaphoreUndos();
  /// Those of `set`, all 0 at first. Pre: the table's mutex is held.
  std::int16_t* of(const SemaphoreSet& set);
  /// Forgets a set that is gone, or one semaphore of it. Pre: as above.
  void forget(std::int32_t id);
  void forget(std::int32_t id, std::size_t number);

 private:
  struct Entry {
    std::int32_t id;
    std::vector<std::int16_t> adjustments;
  };
  ~SemaphoreUndos() override;
  void take_back(const Entry& entry);

  std::vector<Entry> entries_;
};

/// The current task's, made now if there are none.
SemaphoreUndos& own_semaphore_undos();

}  // namespace quire::kernel
