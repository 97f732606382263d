// Pages held from outside, by pipes and devices, while their processes fork, write, unmap and exit.
//
// A pinned page is one that its process and the device share: in the end both must read the same there. A page that was merely got must
// read as it did when it was got, whoever writes.
#include <cstring>

#include "explore/scenario.h"
#include "quire/audit/audit.h"
#include "quire/rmap/migrate.h"
#include "quire/space/hold.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

using Held = std::shared_ptr<PageHold>;

std::uint64_t read(const PageHold& page) {
  std::uint64_t value = 0;
  std::memcpy(&value, page.contents(), sizeof value);
  return value;
}

std::string take(Process& process, unsigned page, Access access, HoldKind kind, const Held& held) {
  auto got = process.space->hold(World::at(page), access, kind);
  if (!got) return "errno " + std::to_string(static_cast<int>(got.error()));
  *held = std::move(*got);
  return "ok";
}

/// What the device sees in the end is what the process sees; audited while it is pinned, then let go.
void expect_one_page(World& w, Process& process, unsigned page, const Held& held) {
  w.finally([&w, &process, page, held] {
    if (*held) {
      std::uint64_t value = 0;
      const auto done = process.space->read(World::at(page), std::as_writable_bytes(std::span(&value, 1)));
      w.expect(done.has_value() && value == read(*held), "I9: the process and the device that pinned its page see different pages");
      Audit audit(w.memory());
      audit.run();
      w.expect(audit.clean(), "I9: the audit finds fault with a pinned page");
    }
    held->release();
  });
}

void expect_unchanged(World& w, const Held& held, std::uint64_t value) {
  w.finally([&w, held, value] {
    if (*held) w.expect(read(*held) == value, "R20: a page that was got has changed");
    held->release();
  });
}

void pin_and_fork(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& c = w.unborn("C");
  w.watch(0, 2);
  const Held held = std::make_shared<PageHold>();
  w.actor("A1", [&w, &a, held] {
    w.act("pin", [&a, held] { return take(a, 0, Access::kWrite, HoldKind::kPin, held); });
    w.store(a, 0, 0, 70);
  });
  w.actor("A2", [&w, &a, &c] { w.fork_to(a, c); });
  expect_one_page(w, a, 0, held);
}

// The note on the tables is stale: fork finds nothing pinned and forgets it, while somebody pins.
void pin_and_rescan(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 2);
  Process& c = w.unborn("C");
  Process& d = w.unborn("D");
  static_cast<void>(a.space->hold(World::at(1), Access::kWrite, HoldKind::kPin));
  w.watch(0, 2);
  const Held held = std::make_shared<PageHold>();
  w.actor("A1", [&w, &a, held] {
    w.act("pin", [&a, held] { return take(a, 0, Access::kRead, HoldKind::kPin, held); });
    w.store(a, 0, 0, 70);
  });
  w.actor("A2", [&w, &a, &c, &d] {
    w.fork_to(a, c);
    w.fork_to(a, d);
  });
  expect_one_page(w, a, 0, held);
}

void pin_and_copy(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.fork(a, "B");
  w.watch(0, 1);
  const Held held = std::make_shared<PageHold>();
  w.actor("A1", [&w, &a, held] { w.act("pin", [&a, held] { return take(a, 0, Access::kRead, HoldKind::kPin, held); }); });
  w.actor("A2", [&w, &a] { w.store(a, 1, 0, 70); });
  expect_one_page(w, a, 0, held);
}

void pin_and_discard(World& w) {
  Process& a = w.create("A", 2);
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.watch(0, 1);
  const Held held = std::make_shared<PageHold>();
  w.actor("A1", [&w, &a, held] {
    w.act("pin", [&a, held] { return take(a, 0, Access::kWrite, HoldKind::kPin, held); });
  });
  w.actor("A2", [&w, &a] { w.dont_need(a, 0, 1); });
  w.finally([held] { held->release(); });
}

void pin_and_migrate(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.watch(0, 1);
  const Held held = std::make_shared<PageHold>();
  const Pfn pfn = test::path_to(*a.space, World::at(0)).leaf;
  w.actor("A1", [&w, &a, held] {
    w.act("pin", [&a, held] { return take(a, 0, Access::kWrite, HoldKind::kPin, held); });
    w.store(a, 0, 0, 70);
  });
  w.actor("M", [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
  expect_one_page(w, a, 0, held);
}

void get_and_unmap(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  w.watch(0, 1);
  const Held held = std::make_shared<PageHold>();
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 70); });
  w.actor("B1", [&w, &b, held] {
    w.act("get", [&b, held] { return take(b, 0, Access::kRead, HoldKind::kGet, held); });
    w.munmap(b, 0, 4);
  });
  expect_unchanged(w, held, 1);
}

void get_and_exit(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& c = w.unborn("C");
  const Held held = std::make_shared<PageHold>();
  static_cast<void>(take(a, 0, Access::kRead, HoldKind::kGet, held));
  w.actor("A1", [&w, &a, &c] {
    w.fork_to(a, c);
    w.exit(a);
    w.store(c, 0, 0, 70);
  });
  expect_unchanged(w, held, 1);
}

void poke_and_discard(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& b = w.fork(a, "B");
  static_cast<void>(a.space->mprotect(World::at(0), World::bytes(1), uapi::kProtRead));
  w.watch(0, 1);
  w.actor("X", [&w, &a] {
    w.act("poke", [&a] {
      const std::uint64_t value = 70;
      return a.space->poke(World::at(0), std::as_bytes(std::span(&value, 1))) ? "ok" : "failed";
    });
  });
  w.actor("A1", [&w, &a] {
    w.dont_need(a, 0, 1);
    w.load(a, 0, 0);
  });
  w.actor("B1", [&w, &b] { w.load(b, 0, 0); });
}

constexpr WorldConfig kLeafMode{.fork_mode = ForkMode::kLeaf};
constexpr WorldConfig kCopyMode{.fork_mode = ForkMode::kCopy};

constexpr Scenario kScenarios[] = {
    {"pin_and_fork", "R7 I9 S1.3 S1.10", "a page is pinned and stored to while a sibling forks", pin_and_fork},
    {"pin_and_fork_leaf", "R7 I9", "the same where fork shares leaf tables only", pin_and_fork, kLeafMode},
    {"pin_and_fork_copy", "R7 I9", "the same where fork copies all tables", pin_and_fork, kCopyMode},
    {"pin_and_rescan", "R19 R7", "a page is pinned while a sibling forks twice and forgets a stale note of pins", pin_and_rescan},
    {"pin_and_copy", "S1.14", "a shared page is pinned for reading while a sibling writes to it", pin_and_copy},
    {"pin_and_discard", "S1.13", "a page is pinned while a sibling drops it", pin_and_discard},
    {"pin_and_migrate", "R14", "a page is pinned and stored to while it is moved", pin_and_migrate},
    {"get_and_unmap", "R20 S1.14", "a process gets a shared page and unmaps it while the other sharer writes", get_and_unmap},
    {"get_and_exit", "R20", "a page somebody has got is inherited by a child that is alone with it then, and writes", get_and_exit},
    {"poke_and_discard", "R21", "a read-only page is written by force while it is dropped, and shared", poke_and_discard},
};

}  // namespace

std::span<const Scenario> holding_scenarios() { return kScenarios; }

}  // namespace quire::explore
