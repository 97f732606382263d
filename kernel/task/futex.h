// Futexes: threads that wait for a word of user memory to change, found by where the word lies.
//
// A key names the word: in private memory the address space and the address; in shared memory the
// object and the offset in it, so that processes which map it at different places, or forked, meet.
// Waiters stand in a hashed bucket.
//
// Locks: the bucket's SpinLock; two buckets in the order of their addresses; nothing but the
// waiters' queues is taken inside, and user memory is never touched under it. Therefore a waiter
// enters its bucket first and looks at the word afterwards: a waker that changes the word later
// finds it there. FUTEX_CMP_REQUEUE and FUTEX_WAKE_OP are atomic on the word, but not with the
// queues. Locks whose words name their owners (FUTEX_LOCK_PI) are in futex_owned.cc. Does not do:
// FUTEX_FD.
#pragma once

#include <cstdint>
#include <span>

#include "mm/uaccess.h"
#include "sched/wait.h"
#include "syscall/syscall.h"
#include "task/task.h"

namespace quire::kernel {

/// Where a futex lies.
struct FutexKey {
  const void* object = nullptr;  ///< a MemoryObject or, for private memory, an AddressSpace
  std::uint64_t offset = 0;
  friend bool operator==(const FutexKey&, const FutexKey&) = default;
};

/// Whether the caller knows the word to be private to its address space (FUTEX_PRIVATE_FLAG).
enum class FutexScope : std::uint8_t { kPrivate, kAny };
/// Errors: EINVAL (not aligned), EFAULT (nothing mapped there; kAny only).
Result<FutexKey> futex_key(UserAddr address, FutexScope scope);

inline constexpr std::uint32_t kAnyBits = ~std::uint32_t{0};

/// Sleeps while the word at `address` is `expected`. Errors: EAGAIN (it is not), ETIMEDOUT,
/// kRestartSys, EFAULT.
Result<void> futex_wait(UserAddr address, FutexScope scope, std::uint32_t expected,
                        Deadline deadline, std::uint32_t bits);
/// One of the words that futex_wait_any() waits for.
struct FutexWord {
  UserAddr address;
  FutexScope scope;
  std::uint32_t expected;
};
/// Sleeps while all words are as expected. Returns which was woken. Errors: as above.
Result<std::size_t> futex_wait_any(std::span<const FutexWord> words, Deadline deadline);
/// Wakes up to `count` waiters whose bits meet `bits`; returns how many.
std::uint32_t futex_wake(const FutexKey& key, std::uint32_t count, std::uint32_t bits);
/// Wakes up to `wake` waiters of `from` and lets up to `move` others wait at `to`. Returns how many
/// it woke and moved.
struct Requeued {
  std::uint32_t woken, moved;
};
Requeued futex_requeue(const FutexKey& from, const FutexKey& to, std::uint32_t wake,
                       std::uint32_t move);
/// Whether anybody waits there.
bool futex_has_waiters(const FutexKey& key);

/// As futex_wait(), for a word that names the task which owns a lock: the end of `owner` wakes, too.
Result<void> futex_wait_for_owner(UserAddr address, FutexScope scope, std::uint32_t expected,
                                  Deadline deadline, Pid owner);
/// Wakes who waits for that task to give up a lock. It is not in the tree any more.
void futex_owner_ended(Pid owner);

/// FUTEX_LOCK_PI, FUTEX_LOCK_PI2. Errors: EDEADLK (it is the caller's), ESRCH (its owner is not there),
/// ETIMEDOUT, EFAULT, EINVAL, kRestartNoInterrupt.
Result<void> futex_lock_owned(UserAddr address, FutexScope scope, Deadline deadline);
/// FUTEX_TRYLOCK_PI. Errors: as above; EAGAIN (somebody has it).
Result<void> futex_try_lock_owned(UserAddr address, FutexScope scope);
/// FUTEX_UNLOCK_PI. Errors: EPERM (it is not the caller's), EFAULT, EINVAL.
Result<void> futex_unlock_owned(UserAddr address, FutexScope scope);

/// FUTEX_WAIT_REQUEUE_PI: sleeps while the word is `expected` until futex_requeue_owned() sends it on to take the lock at `lock`, which it
/// has when this succeeds. Errors: EAGAIN (it is not; or a signal came while it waited for the lock), EINVAL (the same word),
/// kRestartNoInterrupt, and those of futex_lock_owned().
Result<void> futex_wait_to_lock(UserAddr address, UserAddr lock, FutexScope scope, std::uint32_t expected, Deadline deadline);
/// FUTEX_CMP_REQUEUE_PI: sends up to `count` of those that wait so at `from` to the lock at `to`, and returns how many. Errors: EINVAL
/// (others wait there, too, or for another lock).
Result<std::uint32_t> futex_requeue_owned(const FutexKey& from, const FutexKey& to, std::uint32_t count);
/// Whether anybody waits there to be sent to a lock, whom no other call may wake.
bool futex_has_lock_waiters(const FutexKey& key);

/// Wakes one waiter at a word that the kernel itself has changed (thread exit).
void futex_wake_word(UserAddr address);

}  // namespace quire::kernel
