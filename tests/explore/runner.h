// Runs the actors of a scenario one at a time, switching between them only at yield points, as a Strategy decides.
//
// Each actor is a thread of its own, so that everything core and host keep per thread is right, but only the one that has the baton runs;
// the rest of the process stands still. The thread with the baton decides at its next yield point who goes on, so that going on oneself
// costs no switch of threads. An actor is never run into a lock that is held, nor out of a wait that nobody ended; if nobody can run and
// somebody has not finished, that is a deadlock.
//
// Life cycle: one for the process; run() once for each execution. Threads are made when first needed and reused.
// The history of an execution is kept as a hash of its happens-before order: two executions whose operations meet in the same order at the
// same places have reached the same state, whatever the order of what is independent.
#pragma once

#include <quire_hooks.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "explore/baton.h"
#include "explore/operation.h"

namespace quire::explore {

/// One point of an execution at which several actors might go on.
struct Decision {
  unsigned usual;         ///< goes on if nothing speaks against it: the actor that ran, or the first that can
  std::uint32_t others;   ///< bit n: actor n could run instead
  bool is_preemption;     ///< the actor that ran could go on
  std::uint64_t state;    ///< hash of what has happened
};

class Strategy {
 public:
  virtual ~Strategy() = default;
  /// The actor to run: `usual` or one of `others`.
  virtual unsigned decide(const Decision& decision) = 0;
};

/// Where actors may meet: places that two of them used, one of them to change something. Only there need an actor be interrupted.
class Meetings {
 public:
  void note(Place place, unsigned actor, Effect effect);
  [[nodiscard]] bool at(Place place) const { return met_.contains(place); }
  /// Whether places were found since the last call; from now on they count.
  bool take_new();
  void clear() { *this = Meetings(); }

 private:
  struct Users {
    std::uint32_t readers = 0, writers = 0;
  };
  std::unordered_map<Place, Users> users_;
  std::unordered_set<Place> met_, new_;
};

/// A piece of a schedule: `count` operations of one actor.
struct Stretch {
  unsigned actor;
  std::uint32_t count;
};

/// Which points are offered to the strategy.
enum class Grain : std::uint8_t {
  kOperations,   ///< every operation on a place where actors meet
  kWholeActions, ///< only between the actions of the scenario: sequential histories
};

/// What a scenario is about.
enum class Attention : std::uint8_t {
  kTables,  ///< tables and all that hangs on them; allocators and the insides of sleeping locks are taken to work
  kBasics,  ///< those, too
};

class Runner final : public hooks::Scheduler {
 public:
  struct Actor {
    std::string name;
    std::function<void()> body;
  };
  static constexpr unsigned kMaxActors = 4;

  Runner() = default;
  ~Runner() override;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Called with a kind and a message when an execution cannot go on; does not return.
  std::function<void(const char* kind, const std::string& message)> on_failure;

  /// Before the machine of an execution is used: yield points of this thread then teach `places()` what lives where.
  void begin(const Machine& machine);
  /// Runs each `warm_up` on its actor's thread, unscheduled, then the bodies to their ends.
  void run(std::span<const Actor> actors, const std::function<void()>& warm_up, Strategy& strategy, Grain grain);
  /// Likewise, along a given schedule; beyond its end the actors run one after the other.
  void replay(std::span<const Actor> actors, const std::function<void()>& warm_up, std::span<const Stretch> schedule);

  [[nodiscard]] Meetings& meetings() { return meetings_; }
  void attend_to(Attention attention) { attention_ = attention; }
  /// Whether decisions are offered at all operations, not only where actors meet.
  void decide_everywhere(bool everywhere) { everywhere_ = everywhere; }
  /// Names what has happened in this execution so far: which operations met in which order.
  [[nodiscard]] std::uint64_t state() const;
  /// The actor that runs this thread; kMaxActors for the thread that called run().
  [[nodiscard]] static unsigned current_actor();
  [[nodiscard]] std::vector<Stretch> schedule() const;
  /// The schedule in words: for each stretch where it stopped; with `every`, each operation.
  enum class Detail : std::uint8_t { kStretches, kEveryOperation };
  [[nodiscard]] std::string describe(Detail detail) const;
  /// Labels and places in the code that were reached, in all executions.
  [[nodiscard]] const std::unordered_set<std::string>& labels() const { return labels_; }
  [[nodiscard]] std::size_t sites() const { return sites_.size(); }

  void yield(const char* what, const void* where) override;
  void wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) override;
  void wake(const std::atomic<std::uint32_t>& word) override;

 private:
  enum class State : std::uint8_t { kReady, kWaiting, kDone };
  struct Slot {
    State state = State::kDone;
    Operation next;
    const void* word = nullptr;         ///< what it waits for
    Place last_place = 0;
    std::uint32_t last_version = 0;
    std::uint64_t history = 0;
  };
  struct PlaceHistory {
    std::uint64_t written = 0, read = 0;
    std::uint32_t version = 0;
  };
  struct Thread {
    Baton go;
    std::thread thread;
  };
  struct Step {
    unsigned actor;
    Operation operation;
  };
  static constexpr std::size_t kMaxSteps = 50'000;

  void start(std::span<const Actor> actors, const std::function<void()>& warm_up);
  void work(unsigned index);
  Operation operation(const char* what, const void* where, const void* site);
  void about_to(unsigned self, const Operation& operation);
  void finish(unsigned self);
  [[nodiscard]] bool can_run(const Slot& slot) const;
  [[nodiscard]] unsigned pick(unsigned current);
  [[nodiscard]] bool is_worth_a_decision(const Operation& next) const;
  void perform(unsigned self);
  [[noreturn]] void fail(const char* kind, const std::string& message);

  std::array<Thread, kMaxActors> threads_;
  std::array<Slot, kMaxActors> slots_;
  Baton done_;
  const std::function<void()>* warm_up_ = nullptr;
  std::span<const Actor> actors_;
  Strategy* strategy_ = nullptr;
  Grain grain_ = Grain::kOperations;
  std::span<const Stretch> forced_;
  std::size_t forced_at_ = 0;
  std::uint32_t forced_used_ = 0;
  bool is_forced_ = false, stopping_ = false, everywhere_ = false;
  Attention attention_ = Attention::kTables;
  Places places_;
  Meetings meetings_;
  std::unordered_map<Place, PlaceHistory> histories_;
  std::vector<Step> steps_;
  std::unordered_set<std::string> labels_;
  std::unordered_set<const char*> label_pointers_;
  std::unordered_set<const void*> sites_;
};

}  // namespace quire::explore
