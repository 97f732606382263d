// Locks whose word holds the number of the task that owns them: FUTEX_LOCK_PI and its like. Behaviour: man7 futex(2), "Priority-inheritance
// futexes"; Linux v6.12 kernel/futex/pi.c.
//
// The scheduler knows no priorities, so there is nothing to inherit. What is left is a lock whose owner the kernel knows: who waits for a
// task that ends gets its lock. An unlock does not hand the lock over as Linux does: it leaves a word that belongs to nobody, with
// FUTEX_WAITERS while there are any, so that only the kernel gives it away, and wakes one. Who takes the lock keeps the bit; at worst an
// unlock without waiters enters the kernel once. No wake-up is lost: a waiter is in its bucket before it looks at the word for the last
// time, and an unlocker looks into the bucket before it changes the word and wakes afterwards.
#include "task/futex.h"
#include "task/process.h"
#include "task/uapi.h"

namespace quire::kernel {

namespace {

constexpr Errno kDeadlock{35};  // EDEADLK

std::uint32_t own_number() { return static_cast<std::uint32_t>(current().tid); }
std::uint32_t owner_of(std::uint32_t word) { return word & FUTEX_TID_MASK; }

bool has_ended(std::uint32_t owner) {
  const TaskGuard guard(task_lock);
  return tree().find_task(static_cast<Pid>(owner)) == nullptr;
}

/// One attempt to make the lock the caller's, from the value `word`. False: the word has changed.
Result<bool> take(UserAddr address, std::uint32_t word, std::uint32_t kept) {
  QUIRE_TRY(const std::uint32_t seen, user_cmpxchg32(address, word, own_number() | (word & kept)));
  return seen == word;
}

/// Takes the lock if nobody has it. Returns the word of somebody else's lock, or 0. Errors: EDEADLK.
Result<std::uint32_t> take_if_free(UserAddr address) {
  for (;;) {
    QUIRE_TRY(const std::uint32_t word, user_load32(address));
    if (owner_of(word) == own_number()) return fail(kDeadlock);
    if (owner_of(word) != 0) return word;
    QUIRE_TRY(const bool taken, take(address, word, FUTEX_WAITERS | FUTEX_OWNER_DIED));
    if (taken) return 0;
  }
}

/// Takes over what a task has left that has ended while the caller waited for it.
Result<bool> inherit(UserAddr address, std::uint32_t word) {
  QUIRE_TRY(const std::uint32_t seen,
            user_cmpxchg32(address, word, own_number() | (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
  return seen == word;
}

}  // namespace

Result<void> futex_try_lock_owned(UserAddr address, FutexScope scope) {
  QUIRE_CHECK(futex_key(address, scope));
  QUIRE_TRY(const std::uint32_t word, take_if_free(address));
  if (word == 0) return {};
  return fail(has_ended(owner_of(word)) ? Errno::kSrch : Errno::kAgain);
}

Result<void> futex_lock_owned(UserAddr address, FutexScope scope, Deadline deadline) {
  QUIRE_CHECK(futex_key(address, scope));
  for (bool has_waited = false;;) {
    QUIRE_TRY(std::uint32_t word, take_if_free(address));
    if (word == 0) return {};
    if (has_ended(owner_of(word))) {
      if (!has_waited) return fail(Errno::kSrch);
      QUIRE_TRY(const bool inherited, inherit(address, word));
      if (inherited) return {};
      continue;
    }
    if ((word & FUTEX_WAITERS) == 0) {
      QUIRE_TRY(const std::uint32_t seen, user_cmpxchg32(address, word, word | FUTEX_WAITERS));
      if (seen != word) continue;
      word |= FUTEX_WAITERS;
    }
    const Result<void> waited = futex_wait_for_owner(address, scope, word, deadline, static_cast<Pid>(owner_of(word)));
    if (!waited && waited.error() == kRestartSys) return fail(kRestartNoInterrupt);
    if (!waited && waited.error() != Errno::kAgain) return waited;
    has_waited = true;
  }
}

Result<void> futex_unlock_owned(UserAddr address, FutexScope scope) {
  QUIRE_TRY(const FutexKey key, futex_key(address, scope));
  for (;;) {
    QUIRE_TRY(const std::uint32_t word, user_load32(address));
    if (owner_of(word) != own_number()) return fail(Errno::kPerm);
    const std::uint32_t left = futex_has_waiters(key) ? std::uint32_t{FUTEX_WAITERS} : 0;
    QUIRE_TRY(const std::uint32_t seen, user_cmpxchg32(address, word, left));
    if (seen != word) continue;
    futex_wake(key, 1, kAnyBits);
    return {};
  }
}

}  // namespace quire::kernel
