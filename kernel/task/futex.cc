#include "task/futex.h"

#include <algorithm>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "quire/space/address_space.h"
#include "sched/thread.h"
#include "task/process.h"

namespace quire::kernel {

namespace {

namespace bi = boost::intrusive;

struct Bucket;

/// One sleeping thread; lives on its stack. Its fields change under the lock of the bucket it is
/// in, or was in last.
struct FutexWaiter {
  FutexWaiter(const FutexKey& where, std::uint32_t bits_wanted, Pid its_owner, const FutexKey& wanted_lock)
      : key(where), bits(bits_wanted), owner(its_owner), lock(wanted_lock) {}
  FutexKey key;
  const std::uint32_t bits;
  const Pid owner;      ///< who has the lock that it waits for; 0: the word is no such lock's
  const FutexKey lock;  ///< where only futex_requeue_owned() sends it; none: it is woken as any
  [[nodiscard]] bool is_for_lock() const { return lock.object != nullptr; }
  std::atomic<Bucket*> bucket{nullptr};
  std::atomic<bool> is_waiting{false};
  WaitQueue queue;
  bi::list_member_hook<bi::link_mode<bi::normal_link>> hook;
};
using WaiterList =
    bi::list<FutexWaiter,
             bi::member_hook<FutexWaiter, decltype(FutexWaiter::hook), &FutexWaiter::hook>,
             bi::constant_time_size<false>>;

struct Bucket {
  SpinLock lock;
  WaiterList waiters;
};

constexpr unsigned kBucketBits = 8;

std::span<Bucket> all_buckets() {
  static Bucket* const buckets = new Bucket[1U << kBucketBits];
  return {buckets, std::size_t{1} << kBucketBits};
}

Bucket& bucket_of(const FutexKey& key) {
  const std::uint64_t mixed =
      (reinterpret_cast<std::uint64_t>(key.object) ^ key.offset) * 0x9e3779b97f4a7c15;
  return all_buckets()[mixed >> (64 - kBucketBits)];
}

/// Waiters that have an owner, so that the end of a task looks for them only if there are any.
constinit std::atomic<std::uint32_t> waiters_for_owners{0};

/// Locks: the waiter's bucket's held. The waiter may be gone as soon as the lock is let go.
void wake_locked(Bucket& bucket, FutexWaiter& waiter) {
  bucket.waiters.erase(bucket.waiters.iterator_to(waiter));
  waiter.is_waiting.store(false, std::memory_order_release);
  waiter.queue.wake_all();
}

void enter(FutexWaiter& waiter) {
  Bucket& bucket = bucket_of(waiter.key);
  const Guard guard(bucket.lock);
  bucket.waiters.push_back(waiter);
  waiter.bucket.store(&bucket, std::memory_order_release);
  waiter.is_waiting.store(true, std::memory_order_release);
}

/// Takes the waiter out unless it was woken. Returns whether it was. Taking the lock also waits for
/// a waker that is still at it.
bool leave(FutexWaiter& waiter) {
  for (;;) {
    Bucket& bucket = *waiter.bucket.load(std::memory_order_acquire);
    const Guard guard(bucket.lock);
    if (waiter.bucket.load(std::memory_order_acquire) != &bucket) continue;  // moved meanwhile
    if (!waiter.is_waiting.load(std::memory_order_acquire)) return true;
    bucket.waiters.erase(bucket.waiters.iterator_to(waiter));
    waiter.is_waiting.store(false, std::memory_order_release);
    return false;
  }
}

bool is_there(Pid task) {
  const TaskGuard guard(task_lock);
  return tree().find_task(task) != nullptr;
}

Result<void> wait_at(UserAddr address, FutexScope scope, std::uint32_t expected, Deadline deadline,
                     std::uint32_t bits, Pid owner, const FutexKey& lock = {}) {
  QUIRE_TRY(const FutexKey key, futex_key(address, scope));
  FutexWaiter waiter(key, bits, owner, lock);
  Sleeper sleeper;
  sleeper.add(waiter.queue);
  enter(waiter);
  const Result<std::uint32_t> value = user_load32(address);
  if (!value || *value != expected) {
    // A wake-up that reached a waiter who never was to wait belongs to somebody else.
    if (leave(waiter)) futex_wake(key, 1, bits);
    return fail(value ? Errno::kAgain : value.error());
  }
  // An owner that ended before it could see the waiter wakes nobody.
  WaitResult ended = WaitResult::kDone;
  if (owner == 0 || is_there(owner)) {
    while (ended == WaitResult::kDone && waiter.is_waiting.load(std::memory_order_acquire)) {
      ended = sleeper.sleep(Interruptible::kYes, deadline);
    }
  }
  if (leave(waiter) || ended == WaitResult::kDone) return {};
  return fail(ended == WaitResult::kTimedOut ? Errno::kTimedOut : kRestartSys);
}

}  // namespace

Result<FutexKey> futex_key(UserAddr address, FutexScope scope) {
  if (address % sizeof(std::uint32_t) != 0) return fail(Errno::kInval);
  AddressSpace& space = *current_thread().space;
  if (scope == FutexScope::kAny) {
    const auto vma = space.find(VirtAddr(address));
    if (!vma) return fail(Errno::kFault);
    if (vma->is_shared() && vma->object != nullptr) {
      return FutexKey{vma->object,
                      (vma->index_of(VirtAddr(address).page_floor()).raw() << kPageShift) |
                          (address & (kPageSize - 1))};
    }
  }
  return FutexKey{&space, address};
}

Result<void> futex_wait(UserAddr address, FutexScope scope, std::uint32_t expected,
                        Deadline deadline, std::uint32_t bits) {
  return wait_at(address, scope, expected, deadline, bits, 0);
}

Result<void> futex_wait_for_owner(UserAddr address, FutexScope scope, std::uint32_t expected,
                                  Deadline deadline, Pid owner) {
  waiters_for_owners.fetch_add(1);
  const Result<void> waited = wait_at(address, scope, expected, deadline, kAnyBits, owner);
  waiters_for_owners.fetch_sub(1);
  return waited;
}

Result<std::size_t> futex_wait_any(std::span<const FutexWord> words, Deadline deadline) {
  std::vector<std::unique_ptr<FutexWaiter>> waiters;
  for (const FutexWord& word : words) {
    QUIRE_TRY(const FutexKey key, futex_key(word.address, word.scope));
    waiters.push_back(std::make_unique<FutexWaiter>(key, kAnyBits, 0, FutexKey{}));
  }
  Sleeper sleeper;
  for (const auto& waiter : waiters) {
    sleeper.add(waiter->queue);
    enter(*waiter);
  }
  const auto leave_all = [&] {
    std::optional<std::size_t> woken;
    for (std::size_t i = 0; i < waiters.size(); ++i) {
      if (leave(*waiters[i])) woken = i;
    }
    return woken;
  };
  for (const FutexWord& word : words) {
    const Result<std::uint32_t> value = user_load32(word.address);
    if (value && *value == word.expected) continue;
    if (const auto woken = leave_all()) return *woken;
    return fail(value ? Errno::kAgain : value.error());
  }
  WaitResult ended = WaitResult::kDone;
  const auto all_wait = [&] {
    return std::ranges::all_of(waiters, [](const auto& waiter) { return waiter->is_waiting.load(std::memory_order_acquire); });
  };
  while (ended == WaitResult::kDone && all_wait()) ended = sleeper.sleep(Interruptible::kYes, deadline);
  if (const auto woken = leave_all()) return *woken;
  return fail(ended == WaitResult::kTimedOut ? Errno::kTimedOut : kRestartSys);
}

namespace {

template <typename Matches>
bool has_waiter(const FutexKey& key, Matches matches) {
  Bucket& bucket = bucket_of(key);
  const Guard guard(bucket.lock);
  return std::ranges::any_of(bucket.waiters, [&](const FutexWaiter& waiter) { return waiter.key == key && matches(waiter); });
}

}  // namespace

bool futex_has_waiters(const FutexKey& key) {
  return has_waiter(key, [](const FutexWaiter&) { return true; });
}

bool futex_has_lock_waiters(const FutexKey& key) {
  return has_waiter(key, [](const FutexWaiter& waiter) { return waiter.is_for_lock(); });
}

Result<void> futex_wait_to_lock(UserAddr address, UserAddr lock, FutexScope scope, std::uint32_t expected, Deadline deadline) {
  QUIRE_TRY(const FutexKey from, futex_key(address, scope));
  QUIRE_TRY(const FutexKey to, futex_key(lock, scope));
  if (from == to) return fail(Errno::kInval);
  const Result<void> waited = wait_at(address, scope, expected, deadline, kAnyBits, 0, to);
  if (!waited) return fail(waited.error() == kRestartSys ? kRestartNoInterrupt : waited.error());
  const Result<void> locked = futex_lock_owned(lock, scope, deadline);
  // It cannot begin anew: the word has changed (Linux v6.12 kernel/futex/requeue.c:futex_wait_requeue_pi()).
  if (!locked && locked.error() == kRestartNoInterrupt) return fail(Errno::kAgain);
  return locked;
}

// Who is sent on is woken and takes the lock as anybody does: there is no priority that could be lent to the lock's owner meanwhile.
Result<std::uint32_t> futex_requeue_owned(const FutexKey& from, const FutexKey& to, std::uint32_t count) {
  Bucket& bucket = bucket_of(from);
  std::uint32_t sent = 0;
  const Guard guard(bucket.lock);
  for (auto i = bucket.waiters.begin(); i != bucket.waiters.end() && sent < count;) {
    FutexWaiter& waiter = *i++;
    if (waiter.key != from) continue;
    if (waiter.lock != to) return fail(Errno::kInval);
    wake_locked(bucket, waiter);
    ++sent;
  }
  return sent;
}

void futex_owner_ended(Pid owner) {
  if (waiters_for_owners.load() == 0) return;
  for (Bucket& bucket : all_buckets()) {
    const Guard guard(bucket.lock);
    for (auto i = bucket.waiters.begin(); i != bucket.waiters.end();) {
      FutexWaiter& waiter = *i++;
      if (waiter.owner == owner) wake_locked(bucket, waiter);
    }
  }
}

std::uint32_t futex_wake(const FutexKey& key, std::uint32_t count, std::uint32_t bits) {
  Bucket& bucket = bucket_of(key);
  std::uint32_t woken = 0;
  const Guard guard(bucket.lock);
  for (auto i = bucket.waiters.begin(); i != bucket.waiters.end() && woken < count;) {
    FutexWaiter& waiter = *i++;
    if (waiter.key != key || (waiter.bits & bits) == 0 || waiter.is_for_lock()) continue;
    wake_locked(bucket, waiter);
    ++woken;
  }
  return woken;
}

Requeued futex_requeue(const FutexKey& from, const FutexKey& to, std::uint32_t wake,
                       std::uint32_t move) {
  Bucket& source = bucket_of(from);
  Bucket& target = bucket_of(to);
  Bucket& first = &source < &target ? source : target;
  Bucket& second = &source < &target ? target : source;
  Requeued done{0, 0};
  const Guard guard(first.lock);
  if (&source != &target) second.lock.lock();
  WaiterList moved;
  for (auto i = source.waiters.begin(); i != source.waiters.end();) {
    FutexWaiter& waiter = *i++;
    if (waiter.key != from || waiter.is_for_lock()) continue;
    if (done.woken < wake) {
      wake_locked(source, waiter);
      ++done.woken;
    } else if (done.moved < move) {
      source.waiters.erase(source.waiters.iterator_to(waiter));
      waiter.key = to;
      waiter.bucket.store(&target, std::memory_order_release);
      moved.push_back(waiter);
      ++done.moved;
    } else {
      break;
    }
  }
  target.waiters.splice(target.waiters.end(), moved);
  if (&source != &target) second.lock.unlock();
  return done;
}

void futex_wake_word(UserAddr address) {
  if (const Result<FutexKey> key = futex_key(address, FutexScope::kAny); key)
    futex_wake(*key, 1, kAnyBits);
}

}  // namespace quire::kernel
