// A scenario: a few actors on a small machine whose interleavings are explored, and the rows and races it stands for.
//
// Scenarios live in scenarios/, one file for each family; catalogue() lists them all. Each is a function that sets up a World.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "explore/world.h"

namespace quire::explore {

struct Scenario {
  const char* name;
  const char* rows;  ///< races and rows of the requirements, R1 S0.6 …
  const char* says;  ///< who does what at the same time
  void (*build)(World& world);
  WorldConfig config = {};
  Attention attention = Attention::kTables;
  bool must_fail = false;        ///< the explorer's own test: a race that it has to find
};

std::span<const Scenario> leaving_scenarios();
std::span<const Scenario> unsharing_scenarios();
std::span<const Scenario> forking_scenarios();
std::span<const Scenario> filling_scenarios();
std::span<const Scenario> flushing_scenarios();
std::span<const Scenario> walking_scenarios();
std::span<const Scenario> moving_scenarios();
std::span<const Scenario> holding_scenarios();
std::span<const Scenario> failing_scenarios();
std::span<const Scenario> truncating_scenarios();
std::span<const Scenario> lending_scenarios();
std::span<const Scenario> storing_scenarios();
std::span<const Scenario> huge_scenarios();
std::span<const Scenario> noticing_scenarios();
std::span<const Scenario> asking_scenarios();
std::span<const Scenario> migrating_scenarios();
std::span<const Scenario> observing_scenarios();
std::span<const Scenario> lock_scenarios();
std::span<const Scenario> self_test_scenarios();

[[nodiscard]] std::vector<const Scenario*> catalogue();
[[nodiscard]] const Scenario* find_scenario(const std::string& name);

}  // namespace quire::explore
