// Races that the explorer has to find: its own test.
#include "explore/scenario.h"
#include "quire/platform.h"

namespace quire::explore {
namespace {

struct Shared {
  Atomic<std::uint32_t> number{0};
  std::atomic<std::uint32_t> word{0};
  SpinLock one, two;
};

/// All of it met in the set-up.
std::shared_ptr<Shared> make_shared_state() {
  auto shared = std::make_shared<Shared>();
  shared->number.store(0);
  hooks::yield_point("wait", &shared->word);
  const SpinGuard first(shared->one, LockRank::kSlab);
  const SpinGuard second(shared->two, LockRank::kPool);
  return shared;
}

void lost_update(World& w) {
  const auto shared = make_shared_state();
  for (const char* name : {"one", "two"}) {
    w.actor(name, [&w, shared] {
      w.act("count", [&] {
        shared->number.store(shared->number.load() + 1);
        return "ok";
      });
    });
  }
  w.finally([&w, shared] { w.expect(shared->number.load() == 2, "an update is lost"); });
}

// The second actor must be interrupted between its look and its wait, the first go on in between.
void lost_wake_up(World& w) {
  const auto shared = make_shared_state();
  w.actor("waker", [&w, shared] {
    w.act("wake", [&] {
      shared->number.store(1);
      if (shared->word.load() != 0) platform::wake(shared->word);
      return "ok";
    });
  });
  w.actor("sleeper", [&w, shared] {
    w.act("sleep", [&] {
      if (shared->number.load() == 0) {
        hooks::yield_point("store", &shared->number);
        shared->word.store(1);
        platform::wait(shared->word, 1);
      }
      return "ok";
    });
  });
}

void crossed_locks(World& w) {
  const auto shared = make_shared_state();
  w.actor("one", [&w, shared] {
    w.act("lock", [&] {
      hooks::yield_point("lock", &shared->one);
      const SpinGuard second(shared->two, LockRank::kPool);
      return "ok";
    });
  });
  w.actor("two", [&w, shared] {
    w.act("lock", [&] {
      const SpinGuard second(shared->two, LockRank::kPool);
      while (shared->number.load() == 0) platform::relax();  // waits for what nobody does
      return "ok";
    });
  });
}

constexpr Scenario kScenarios[] = {
    {.name = "self_lost_update", .rows = "X19", .says = "two actors count without an atomic addition",
     .build = lost_update, .must_fail = true},
    {.name = "self_lost_wake_up", .rows = "X19", .says = "an actor goes to sleep after it was to be woken",
     .build = lost_wake_up, .must_fail = true},
    {.name = "self_deadlock", .rows = "X19", .says = "an actor spins for ever with a lock held", .build = crossed_locks, .must_fail = true},
};

}  // namespace

std::span<const Scenario> self_test_scenarios() { return kScenarios; }

}  // namespace quire::explore
