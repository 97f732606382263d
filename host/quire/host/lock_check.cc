// The run-time half of the lock order (quire_hooks.h): what each thread holds, compared at every
// acquisition.
#include <array>
#include <cstddef>

#include "quire/base/assert.h"
#include "quire/base/lock.h"

#if defined(QUIRE_HOOKS) && QUIRE_HOOKS

namespace quire::hooks::detail {
namespace {

struct Held {
  unsigned rank;
  std::uint64_t key;
  const void* lock;
};

/// The deepest legitimate nesting is a path of tables for two spaces, plus one lock of every other
/// rank.
constexpr std::size_t kMaxHeld = 32;

struct HeldLocks {
  std::array<Held, kMaxHeld> locks;
  std::size_t count = 0;
};
constinit thread_local HeldLocks held{};

}  // namespace

void acquired(unsigned rank, std::uint64_t key, const void* lock) {
  for (std::size_t i = 0; i < held.count; ++i) {
    const Held& other = held.locks[i];
    QUIRE_ASSERT(other.rank < rank || (other.rank == rank && other.key < key),
                 "lock order: a lock of higher or equal rank is held already");
  }
  QUIRE_ASSERT(held.count < kMaxHeld, "lock order: too many locks held");
  held.locks[held.count++] = Held{.rank = rank, .key = key, .lock = lock};
}

void released(const void* lock) {
  for (std::size_t i = held.count; i-- > 0;) {
    if (held.locks[i].lock != lock) continue;
    for (std::size_t j = i + 1; j < held.count; ++j) held.locks[j - 1] = held.locks[j];
    --held.count;
    return;
  }
  QUIRE_ASSERT(false, "lock order: a lock was released that this thread does not hold");
}

void must_not_hold_tables(const char* what) {
  for (std::size_t i = 0; i < held.count; ++i) {
    QUIRE_ASSERT(held.locks[i].rank < static_cast<unsigned>(LockRank::kTable), what);
  }
}

}  // namespace quire::hooks::detail

#endif
