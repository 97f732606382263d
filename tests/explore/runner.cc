#include "explore/runner.h"

#include <bit>

namespace quire::explore {
namespace {

thread_local unsigned this_actor = Runner::kMaxActors;

}  // namespace

void Meetings::note(Place place, unsigned actor, Effect effect) {
  if (place == 0) return;
  Users& users = users_[place];
  const std::uint32_t bit = 1U << actor;
  (effect == Effect::kRead ? users.readers : users.writers) |= bit;
  if (users.writers != 0 && std::popcount(users.readers | users.writers) > 1 && !met_.contains(place)) new_.insert(place);
}

bool Meetings::take_new() {
  const bool any = !new_.empty();
  met_.merge(new_);
  new_.clear();
  return any;
}

Runner::~Runner() {
  stopping_ = true;
  for (Thread& each : threads_) {
    if (!each.thread.joinable()) continue;
    each.go.pass();
    each.thread.join();
  }
}

unsigned Runner::current_actor() { return this_actor; }

void Runner::begin(const Machine& machine) {
  places_.begin(machine);
  histories_.clear();
  steps_.clear();
}

void Runner::work(unsigned index) {
  this_actor = index;
  for (;;) {
    threads_[index].go.take();
    if (stopping_) return;
    // One after the other, in the order of the actors, so that who gets which frames does not depend on the schedule.
    (*warm_up_)();
    if (index + 1 < actors_.size()) {
      threads_[index + 1].go.pass();
    } else {
      threads_[pick(kMaxActors)].go.pass();
    }
    threads_[index].go.take();
    perform(index);
    hooks::set_scheduler(this);
    actors_[index].body();
    hooks::set_scheduler(nullptr);
    finish(index);
  }
}

void Runner::start(std::span<const Actor> actors, const std::function<void()>& warm_up) {
  actors_ = actors;
  warm_up_ = &warm_up;
  for (unsigned n = 0; n < kMaxActors; ++n) {
    slots_[n] = n < actors.size() ? Slot{.state = State::kReady, .next = {}, .history = n + 1} : Slot{};
    if (n < actors.size() && !threads_[n].thread.joinable()) threads_[n].thread = std::thread([this, n] { work(n); });
  }
  threads_[0].go.pass();
  done_.take();
}

void Runner::run(std::span<const Actor> actors, const std::function<void()>& warm_up, Strategy& strategy, Grain grain) {
  strategy_ = &strategy;
  grain_ = grain;
  is_forced_ = false;
  start(actors, warm_up);
}

void Runner::replay(std::span<const Actor> actors, const std::function<void()>& warm_up, std::span<const Stretch> schedule) {
  is_forced_ = true;
  forced_ = schedule;
  forced_at_ = 0;
  forced_used_ = 0;
  start(actors, warm_up);
}

Operation Runner::operation(const char* what, const void* where, const void* site) {
  return {.label = what, .where = where, .place = places_.of(what, where), .effect = effect_of(what), .site = site};
}

void Runner::yield(const char* what, const void* where) {
  const Operation next = operation(what, where, __builtin_return_address(0));
  if (this_actor == kMaxActors) return;  // set-up: the place is known now
  about_to(this_actor, next);
}

void Runner::about_to(unsigned self, const Operation& next) {
  slots_[self].next = next;
  if (next.effect == Effect::kRelax) {
    // What it spins on is what it looked at last; until that changes there is nothing new to see.
    slots_[self].last_version = histories_[slots_[self].last_place].version;
  }
  if (const unsigned chosen = pick(self); chosen != self) {
    threads_[chosen].go.pass();
    threads_[self].go.take();
  }
  perform(self);
}

void Runner::finish(unsigned self) {
  slots_[self].state = State::kDone;
  if (const unsigned chosen = pick(self); chosen != kMaxActors) {
    threads_[chosen].go.pass();
  } else {
    done_.pass();
  }
}

bool Runner::can_run(const Slot& slot) const {
  if (slot.state != State::kReady) return false;
  switch (slot.next.effect) {
    case Effect::kTakeSpin: return __atomic_load_n(static_cast<const std::uint32_t*>(slot.next.where), __ATOMIC_RELAXED) == 0;
    case Effect::kTakeMmu: return __atomic_load_n(static_cast<const std::uint64_t*>(slot.next.where), __ATOMIC_RELAXED) == 0;
    case Effect::kRelax: {
      const auto known = histories_.find(slot.last_place);
      return known == histories_.end() || known->second.version != slot.last_version;
    }
    case Effect::kBoundary:
    case Effect::kRead:
    case Effect::kWrite:
    case Effect::kConfirm:
    case Effect::kRelease: return true;
  }
  return true;
}

bool Runner::is_worth_a_decision(const Operation& next) const {
  if (grain_ == Grain::kWholeActions) return next.effect == Effect::kBoundary;
  if (next.effect == Effect::kRelease) return false;
  if (attention_ == Attention::kTables && (next.effect == Effect::kConfirm || places_.is_allocator(next.place))) return false;
  return everywhere_ || meetings_.at(next.place);
}

// Who runs next; `current` ran until now, or nobody did. kMaxActors if all have finished.
unsigned Runner::pick(unsigned current) {
  std::uint32_t able = 0;
  bool all_done = true;
  for (unsigned n = 0; n < actors_.size(); ++n) {
    if (can_run(slots_[n])) able |= 1U << n;
    all_done = all_done && slots_[n].state == State::kDone;
  }
  if (all_done) return kMaxActors;
  if (able == 0) fail("deadlock", "nobody can go on");
  const bool goes_on = current < kMaxActors && (able >> current & 1U) != 0;
  const unsigned usual = goes_on ? current : static_cast<unsigned>(std::countr_zero(able));
  if (is_forced_) {
    for (; forced_at_ < forced_.size(); ++forced_at_, forced_used_ = 0) {
      const Stretch& stretch = forced_[forced_at_];
      if (forced_used_ >= stretch.count || (able >> stretch.actor & 1U) == 0) continue;
      ++forced_used_;
      return stretch.actor;
    }
    return usual;
  }
  const std::uint32_t others = able & ~(1U << usual);
  if (others == 0) return usual;
  if (goes_on && !is_worth_a_decision(slots_[current].next)) return usual;
  if (!goes_on && grain_ == Grain::kWholeActions && current == kMaxActors) return usual;
  const bool free = !goes_on || grain_ == Grain::kWholeActions;
  return strategy_->decide({.usual = usual, .others = others, .is_preemption = !free, .state = state()});
}

std::uint64_t Runner::state() const {
  std::uint64_t sum = 0;
  for (unsigned n = 0; n < actors_.size(); ++n) {
    std::uint64_t actor = mix(slots_[n].history, static_cast<std::uint64_t>(slots_[n].state));
    if (slots_[n].state == State::kReady && slots_[n].next.effect == Effect::kRelax) actor = mix(actor, slots_[n].last_version);
    sum += mix(n, actor);
  }
  return sum;
}

// The operation that `self` waited to do happens now.
void Runner::perform(unsigned self) {
  Slot& slot = slots_[self];
  const Operation& now = slot.next;
  steps_.push_back({self, now});
  if (steps_.size() > kMaxSteps) fail("livelock", "no end in sight");
  if (label_pointers_.insert(now.label).second) labels_.insert(now.label);
  sites_.insert(now.site);
  if (now.effect == Effect::kBoundary) slot.history = mix(slot.history, 0);
  if (now.effect == Effect::kRelax || now.place == 0) return;
  if (places_.is_allocator(now.place) && attention_ == Attention::kTables) return;
  meetings_.note(now.place, self, now.effect);
  slot.last_place = now.place;
  PlaceHistory& place = histories_[now.place];
  if (now.effect == Effect::kRead) {
    slot.history = mix(mix(slot.history, now.place), place.written);
    place.read += slot.history;
  } else {
    slot.history = mix(mix(slot.history, now.place), mix(place.written, place.read));
    place.written = slot.history;
    place.read = 0;
    ++place.version;
  }
}

void Runner::wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  if (this_actor == kMaxActors) fail("deadlock", "the set-up waits");
  about_to(this_actor, operation("wait", &word, __builtin_return_address(0)));
  if (word.load() != expected) return;
  Slot& slot = slots_[this_actor];
  slot.state = State::kWaiting;
  slot.word = &word;
  slot.next = operation("woken", nullptr, __builtin_return_address(0));
  const unsigned chosen = pick(this_actor);
  threads_[chosen].go.pass();
  threads_[this_actor].go.take();
  perform(this_actor);
}

void Runner::wake(const std::atomic<std::uint32_t>& word) {
  if (this_actor == kMaxActors) return;
  about_to(this_actor, operation("wake", &word, __builtin_return_address(0)));
  for (Slot& slot : slots_) {
    if (slot.state != State::kWaiting || slot.word != &word) continue;
    slot.state = State::kReady;
    slot.history = mix(slot.history, slots_[this_actor].history);
  }
}

std::vector<Stretch> Runner::schedule() const {
  std::vector<Stretch> stretches;
  for (const Step& step : steps_) {
    if (stretches.empty() || stretches.back().actor != step.actor) stretches.push_back({step.actor, 0});
    ++stretches.back().count;
  }
  return stretches;
}

std::string Runner::describe(Detail detail) const {
  std::string text;
  std::size_t at = 0;
  for (const Stretch& stretch : schedule()) {
    const std::string& name = actors_[stretch.actor].name;
    if (detail == Detail::kEveryOperation) {
      for (std::size_t n = at; n < at + stretch.count; ++n) text += "  " + name + ": " + places_.describe(steps_[n].operation) + "\n";
    } else {
      text += "  " + name + ": " + std::to_string(stretch.count) + " operations, the last: " +
              places_.describe(steps_[at + stretch.count - 1].operation) + "\n";
    }
    at += stretch.count;
  }
  for (unsigned n = 0; n < actors_.size(); ++n) {
    if (slots_[n].state == State::kDone) continue;
    text += "  " + actors_[n].name +
            (slots_[n].state == State::kWaiting ? " sleeps\n" : " is about to: " + places_.describe(slots_[n].next) + "\n");
  }
  return text;
}

void Runner::fail(const char* kind, const std::string& message) {
  on_failure(kind, message);
  std::abort();
}

}  // namespace quire::explore
