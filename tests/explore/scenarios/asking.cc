// Faults that somebody else resolves, while others fault on the same page, guard it, or end the registration.
//
// Whoever is asked here does not wait: it answers the fault itself, but not before it has looked whether it would have waited for ever,
// with the answer already given.
#include <array>

#include "explore/scenario.h"

namespace quire::explore {
namespace {

constexpr std::uint64_t kSupplied = 7;

class Handler final : public FaultDelegate {
 public:
  Handler(World& w, Process& process) : world_(w), process_(process) {
    w.finally([this] {
      for (const Waiting& waiting : waiting_)
        world_.expect(waiting.is_woken || !waiting.came_too_late, "S0.62: one waits for a page that is there, and nobody wakes it");
      release();
    });
  }
  void hold() override { ++holders_; }
  void release() override {
    if (--holders_ == 0) delete this;
  }
  Answer ask(const AskedFault& fault) override {
    // Nothing comes between looking and waiting: a handler does this under a lock.
    if (changes() != fault.changes) return Answer::kTryAgain;
    const std::size_t place = waiting_.size();
    waiting_.push_back({});
    ++asked;
    if (fault.reason == AskedFault::Reason::kGuarded) {
      static_cast<void>(guard(fault.address.page_floor(), Guarded::kNo));
    } else {
      waiting_[place].came_too_late = supply(fault.address.page_floor()) == "there";
    }
    return Answer::kTryAgain;
  }
  std::string supply(VirtAddr page) {
    std::array<std::uint64_t, kPageSize / sizeof(std::uint64_t)> contents{};
    contents[0] = kSupplied;
    const auto done = process_.space->supply(page, std::as_bytes(std::span(contents)), Guarded::kNo);
    if (!done) return done.error() == Errno::kExist ? "there" : done.error() == Errno::kNoEnt ? "unregistered" : "failed";
    wake();
    return "supplied";
  }
  std::string guard(VirtAddr page, Guarded guarded) {
    const auto done = process_.space->guard(VirtRange(page, ByteCount(kPageSize)), guarded, Unpopulated::kLeft);
    if (guarded == Guarded::kNo) wake();
    return done ? "ok" : "failed";
  }
  unsigned asked = 0;

 private:
  struct Waiting {
    bool is_woken = false, came_too_late = false;
  };
  ~Handler() = default;
  void wake() {
    for (Waiting& waiting : waiting_) waiting.is_woken = true;
  }

  World& world_;
  Process& process_;
  std::vector<Waiting> waiting_;
  unsigned holders_ = 1;
};

Handler& watch(World& w, Process& process, VmaFlags flags) {
  auto* const handler = new Handler(w, process);
  if (!process.space->register_handler(VirtRange(World::at(0), World::bytes(4)), *handler, flags)) w.expect(false, "set-up");
  return *handler;
}

void two_ask_and_one_supplies(World& w) {
  Process& a = w.create("A", 3);
  w.map(a, 0, 4);
  w.fill(a, 1, 1);  // so that there is a table
  Handler& handler = watch(w, a, VmaFlag::kAsksMissing);
  w.watch(0, 1);
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 70); });
  w.actor("A2", [&w, &a] { w.load(a, 1, 0); });
  w.actor("A3", [&w, &handler] { w.act("supply", [&handler] { return handler.supply(World::at(0)); }); });
}

// Guarded, the page is written only after somebody was asked: what is read then stays as it is until then.
Process& write_while_guarding(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Handler& handler = watch(w, a, VmaFlag::kAsksGuarded);
  w.watch(0, 1);
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 70); });
  const auto seen = std::make_shared<std::uint64_t>(0);
  w.actor("A2", [&w, &a, &handler, seen] {
    w.act("guard", [&handler] { return handler.guard(World::at(0), Guarded::kYes); });
    w.act("read", [&a, seen] { return a.space->read(World::at(0), std::as_writable_bytes(std::span(seen.get(), 1))) ? "ok" : "failed"; });
  });
  w.finally([&w, &handler, seen] {
    w.expect(*seen == 70 || handler.asked != 0, "S0.62: a guarded page is written, and nobody was asked");
  });
  return a;
}

void guard_and_write(World& w) { static_cast<void>(write_while_guarding(w)); }

void guard_a_shared_table(World& w) {
  Process& b = w.fork(write_while_guarding(w), "B");
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 80); });
}

void unregister_and_fault(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 1, 1);
  Handler& handler = watch(w, a, VmaFlag::kAsksMissing | VmaFlag::kAsksGuarded);
  static_cast<void>(handler.guard(World::at(1), Guarded::kYes));
  w.watch(0, 2);
  w.actor("A1", [&w, &a] {
    w.load(a, 0, 0);
    w.store(a, 0, 1, 70);
  });
  w.actor("A2", [&w, &a, &handler] {
    w.act("unregister", [&a, &handler] {
      return a.space->unregister_handler(VirtRange(World::at(0), World::bytes(4)), handler) ? "ok" : "failed";
    });
  });
}

void fork_and_supply(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 1, 1);
  Handler& handler = watch(w, a, VmaFlag::kAsksMissing);
  Process& c = w.unborn("C");
  w.watch(0, 2);
  w.actor("A1", [&w, &handler] { w.act("supply", [&handler] { return handler.supply(World::at(0)); }); });
  w.actor("A2", [&w, &a, &c] {
    w.fork_to(a, c);
    w.load(c, 0, 0);
  });
}

constexpr Scenario kScenarios[] = {
    {"two_ask_and_one_supplies", "S0.62", "two threads fault on a missing page, and both ask, while a third supplies it",
     two_ask_and_one_supplies},
    {"guard_and_write", "S0.62", "a page is guarded while another thread writes it", guard_and_write},
    {"guard_a_shared_table", "S0.62 S0.16", "the same in a shared table, which the other process writes, too", guard_a_shared_table},
    {"unregister_and_fault", "S0.62", "a registration ends while a thread faults on a missing page, then on a guarded one",
     unregister_and_fault},
    {"fork_and_supply", "S0.62 R10", "a missing page is supplied while the process forks", fork_and_supply},
};

}  // namespace

std::span<const Scenario> asking_scenarios() { return kScenarios; }

}  // namespace quire::explore
