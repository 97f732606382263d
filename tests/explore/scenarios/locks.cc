// Core's own locks and allocators.
#include "explore/scenario.h"

namespace quire::explore {
namespace {

/// Something a lock protects, with the count of those inside.
struct Guarded {
  RwLock lock;
  Atomic<std::uint32_t> writers{0}, readers{0};
};

std::string as_writer(World& w, Guarded& guarded) {
  ExclusiveGuard guard(guarded.lock);
  w.expect(guarded.writers.fetch_add(1) == 0 && guarded.readers.load() == 0, "a writer is not alone");
  guarded.writers.fetch_sub(1);
  return "ok";
}

std::string as_reader(World& w, Guarded& guarded) {
  SharedGuard guard(guarded.lock);
  guarded.readers.fetch_add(1);
  w.expect(guarded.writers.load() == 0, "a reader meets a writer");
  guarded.readers.fetch_sub(1);
  return "ok";
}

/// The scenario's lock, met in the set-up.
std::shared_ptr<Guarded> make_guarded() {
  auto guarded = std::make_shared<Guarded>();
  const SharedGuard seen(guarded->lock);
  guarded->writers.store(0);
  guarded->readers.store(0);
  return guarded;
}

void readers_and_writers(World& w) {
  const auto guarded = make_guarded();
  w.actor("reader", [&w, guarded] { w.act("read", [&] { return as_reader(w, *guarded); }); });
  w.actor("writer 1", [&w, guarded] { w.act("write", [&] { return as_writer(w, *guarded); }); });
  w.actor("writer 2", [&w, guarded] { w.act("write", [&] { return as_writer(w, *guarded); }); });
}

void readers_and_writer(World& w) {
  const auto guarded = make_guarded();
  w.actor("reader 1", [&w, guarded] { w.act("read", [&] { return as_reader(w, *guarded); }); });
  w.actor("reader 2", [&w, guarded] {
    w.act("read", [&] { return as_reader(w, *guarded); });
    w.act("read", [&] { return as_reader(w, *guarded); });
  });
  w.actor("writer", [&w, guarded] { w.act("write", [&] { return as_writer(w, *guarded); }); });
}

// An object goes back to the share it came from while that gives another.
void allocator_and_giver(World& w) {
  Process& a = w.create("A");
  Process& b = w.create("B");
  const auto taken = std::make_shared<Atomic<AnonObject*>>();
  const auto take = [&w] { return w.memory().anon_objects().make_or_null(w.memory()); };
  w.actor(a.name, [&w, taken, take] {
    w.act("object", [&] {
      AnonObject* const first = take();
      w.expect(first != nullptr, "no object is given");
      taken->store(first);
      AnonObject* const second = take();
      w.expect(second != nullptr && second != first, "an object is given twice or not at all");
      second->drop_user();
      return "ok";
    });
  });
  w.actor(b.name, [&w, taken] {
    w.act("give", [&] {
      AnonObject* first = taken->load();
      if (first != nullptr && taken->compare_exchange(first, nullptr)) first->drop_user();
      return "ok";
    });
  });
  w.finally([taken] {
    if (AnonObject* const first = taken->load(); first != nullptr) first->drop_user();
  });
}

void allocators(World& w) {
  Process& a = w.create("A");
  Process& b = w.create("B");
  for (Process* each : {&a, &b}) {
    w.actor(each->name, [&w, each] {
      w.act("objects", [&] {
        AnonObject* const first = w.memory().anon_objects().make_or_null(w.memory());
        AnonObject* const second = w.memory().anon_objects().make_or_null(w.memory());
        w.expect(first != nullptr && second != nullptr && first != second, "an object is given twice or not at all");
        if (first != nullptr) first->drop_user();
        if (second != nullptr) second->drop_user();
        return "ok";
      });
    });
  }
}

constexpr Scenario kScenarios[] = {
    {"readers_and_writers", "S0.24", "a reader and two writers of a sleeping lock", readers_and_writers, {}, Attention::kBasics},
    {"readers_and_writer", "S0.24", "two readers, one of them twice, and a writer of a sleeping lock",
     readers_and_writer, {}, Attention::kBasics},
    {"allocators", "I6", "two threads take and give small objects", allocators, {}, Attention::kBasics},
    {"allocator_and_giver", "I6", "a thread gives a small object back to the share from which another takes one", allocator_and_giver, {},
     Attention::kBasics},
};

}  // namespace

std::span<const Scenario> lock_scenarios() { return kScenarios; }

}  // namespace quire::explore
