#include "task/futex.h"

#include <boost/intrusive/list.hpp>

#include "quire/space/address_space.h"
#include "sched/thread.h"

namespace quire::kernel {

namespace {

namespace bi = boost::intrusive;

struct Bucket;

/// One sleeping thread; lives on its stack. Its fields change under the lock of the bucket it is
/// in, or was in last.
struct FutexWaiter {
  FutexWaiter(const FutexKey& where, std::uint32_t bits_wanted) : key(where), bits(bits_wanted) {}
  FutexKey key;
  const std::uint32_t bits;
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

Bucket& bucket_of(const FutexKey& key) {
  static Bucket* const buckets = new Bucket[1U << kBucketBits];
  const std::uint64_t mixed =
      (reinterpret_cast<std::uint64_t>(key.object) ^ key.offset) * 0x9e3779b97f4a7c15;
  return buckets[mixed >> (64 - kBucketBits)];
}

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
  QUIRE_TRY(const FutexKey key, futex_key(address, scope));
  FutexWaiter waiter(key, bits);
  Sleeper sleeper;
  sleeper.add(waiter.queue);
  enter(waiter);
  const Result<std::uint32_t> value = user_load32(address);
  if (!value || *value != expected) {
    // A wake-up that reached a waiter who never was to wait belongs to somebody else.
    if (leave(waiter)) futex_wake(key, 1, bits);
    return fail(value ? Errno::kAgain : value.error());
  }
  WaitResult ended = WaitResult::kDone;
  while (ended == WaitResult::kDone && waiter.is_waiting.load(std::memory_order_acquire)) {
    ended = sleeper.sleep(Interruptible::kYes, deadline);
  }
  if (leave(waiter)) return {};
  return fail(ended == WaitResult::kTimedOut ? Errno::kTimedOut : kRestartSys);
}

std::uint32_t futex_wake(const FutexKey& key, std::uint32_t count, std::uint32_t bits) {
  Bucket& bucket = bucket_of(key);
  std::uint32_t woken = 0;
  const Guard guard(bucket.lock);
  for (auto i = bucket.waiters.begin(); i != bucket.waiters.end() && woken < count;) {
    FutexWaiter& waiter = *i++;
    if (waiter.key != key || (waiter.bits & bits) == 0) continue;
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
    if (waiter.key != from) continue;
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
