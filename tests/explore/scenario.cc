#include "explore/scenario.h"

namespace quire::explore {

std::vector<const Scenario*> catalogue() {
  std::vector<const Scenario*> all;
  for (const auto family :
       {leaving_scenarios(), unsharing_scenarios(), forking_scenarios(), filling_scenarios(), flushing_scenarios(), walking_scenarios(),
        moving_scenarios(), observing_scenarios(), migrating_scenarios(), holding_scenarios(), failing_scenarios(), truncating_scenarios(),
        lending_scenarios(), storing_scenarios(), noticing_scenarios(), asking_scenarios(), huge_scenarios(), lock_scenarios(),
         self_test_scenarios()}) {
    for (const Scenario& each : family) all.push_back(&each);
  }
  return all;
}

const Scenario* find_scenario(const std::string& name) {
  for (const Scenario* each : catalogue()) {
    if (name == each->name) return each;
  }
  return nullptr;
}

}  // namespace quire::explore
