#include "explore/search.h"

#include <bit>

namespace quire::explore {

Search::Search(Runner& runner, const Scenario& scenario, const Limits& limits, std::function<void(bool)> activate)
    : runner_(runner), scenario_(scenario), limits_(limits), activate_(std::move(activate)) {
  runner_.meetings().clear();
  runner_.attend_to(scenario.attention);
  runner_.decide_everywhere(limits.reduction == Reduction::kOff);
}

SearchResult Search::run() {
  activate_(false);
  enumerate(Grain::kWholeActions);
  result_.outcomes = right_.size();
  activate_(true);
  runner_.meetings().clear();
  enumerate(Grain::kOperations);
  return result_;
}

void Search::forget() {
  path_.clear();
  states_.clear();
}

void Search::enumerate(Grain grain) {
  grain_ = grain;
  forget();
  std::uint64_t& count = grain == Grain::kWholeActions ? result_.histories : result_.schedules;
  do {
    if (++count > limits_.schedules) {
      result_.complete = false;
      return;
    }
    execute(grain);
    // A place where actors turn out to meet was a place to interrupt somebody all along.
    if (grain == Grain::kOperations && runner_.meetings().take_new()) {
      forget();
      continue;
    }
    if (!next_path()) return;
  } while (true);
}

bool Search::next_path() {
  while (!path_.empty() && path_.back().untried == 0) path_.pop_back();
  if (path_.empty()) return false;
  Node& last = path_.back();
  last.chosen = static_cast<unsigned>(std::countr_zero(last.untried));
  last.untried &= last.untried - 1;
  return true;
}

void Search::execute(Grain grain) {
  depth_ = 0;
  preemptions_ = 0;
  known_ = false;
  WorldConfig config = scenario_.config;
  config.grain = grain;
  World world(config, runner_, runner_.on_failure);
  scenario_.build(world);
  runner_.run(world.actors(), [&world] { world.warm_up(); }, *this, grain);
  if (grain == Grain::kOperations) result_.states.insert(runner_.state());
  if (known_) {
    // From the known state on, this execution went as one before.
    ++result_.repeats;
    return;
  }
  const std::string outcome = world.conclude();
  if (grain == Grain::kOperations) result_.ends.insert(outcome);
  if (grain == Grain::kWholeActions) {
    right_.insert(outcome);
  } else if (!right_.contains(outcome)) {
    std::string message = outcome + "\n  no sequential history ends so; these do:";
    for (const std::string& each : right_) message += "\n    " + each;
    runner_.on_failure("contents", message);
  }
}

unsigned Search::decide(const Decision& decision) {
  const bool affordable = !decision.is_preemption || preemptions_ < limits_.preemptions;
  if (!affordable) return decision.usual;
  if (depth_ == path_.size()) {
    if (known_) return decision.usual;
    const std::uint64_t key = mix(decision.state, decision.is_preemption ? decision.usual : Runner::kMaxActors);
    const auto [seen, is_new] = states_.try_emplace(key, preemptions_);
    if (!is_new && limits_.reduction == Reduction::kOn) {
      known_ = seen->second <= preemptions_;
      if (known_) return decision.usual;
      seen->second = preemptions_;
    }
    path_.push_back(
        {.usual = decision.usual, .chosen = decision.usual, .untried = decision.others, .is_preemption = decision.is_preemption});
  }
  const Node& node = path_[depth_++];
  if (node.is_preemption && node.chosen != node.usual) ++preemptions_;
  return node.chosen;
}

std::string Search::replay(std::span<const Stretch> schedule) {
  World world(scenario_.config, runner_, runner_.on_failure);
  scenario_.build(world);
  activate_(true);
  runner_.replay(world.actors(), [&world] { world.warm_up(); }, schedule);
  return world.conclude();
}

}  // namespace quire::explore
