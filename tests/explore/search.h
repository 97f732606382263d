// Enumerates the schedules of a scenario: depth first over the decisions of the Runner, each execution from the start.
//
// An actor that could go on is interrupted at most `bound` times in one execution (switches to others while one waits cost nothing).
// Interruptions are tried only where actors meet (Meetings). A state reached before, told by its happens-before order, with no fewer
// interruptions left then, is not explored again. Both leave out only executions that differ in the order of what is independent.
//
// Before that, the sequential histories are enumerated in the same way, at the grain of whole actions; their outcomes are the right ones.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "explore/runner.h"
#include "explore/scenario.h"

namespace quire::explore {

struct SearchResult {
  std::uint64_t histories = 0;  ///< sequential
  std::uint64_t outcomes = 0;   ///< different ones, all right
  std::uint64_t schedules = 0;  ///< executions of all rounds
  std::uint64_t repeats = 0;    ///< of these, those that ran into a known state
  bool complete = true;         ///< all within the bound, not cut off by the limit
  std::unordered_set<std::uint64_t> states;    ///< in which executions ended, as hashes of their happens-before orders
  std::unordered_set<std::string> ends;        ///< their outcomes
};

/// Whether executions that differ in the order of independent operations only are left out.
enum class Reduction : std::uint8_t { kOn, kOff };

class Search : private Strategy {
 public:
  struct Limits {
    unsigned preemptions = 2;
    std::uint64_t schedules = 1'000'000;
    Reduction reduction = Reduction::kOn;
  };
  /// `activate` is called with true for the exploration and false for the sequential histories: a mutation must not make its own truth.
  Search(Runner& runner, const Scenario& scenario, const Limits& limits, std::function<void(bool)> activate);

  SearchResult run();
  /// Runs one schedule and returns its outcome.
  std::string replay(std::span<const Stretch> schedule);

 private:
  struct Node {
    unsigned usual;
    unsigned chosen;
    std::uint32_t untried;
    bool is_preemption;
  };
  unsigned decide(const Decision& decision) override;
  /// One execution.
  void execute(Grain grain);
  void enumerate(Grain grain);
  bool next_path();
  void forget();

  Runner& runner_;
  const Scenario& scenario_;
  Limits limits_;
  std::function<void(bool)> activate_;
  SearchResult result_;

  Grain grain_ = Grain::kOperations;
  std::vector<Node> path_;
  std::size_t depth_ = 0;
  unsigned preemptions_ = 0;
  bool known_ = false;
  std::unordered_map<std::uint64_t, unsigned> states_;  ///< reached with so many interruptions
  std::unordered_set<std::string> right_;
};

}  // namespace quire::explore
