// Guards of core that can be taken away, one at a time, to see that a scenario notices.
//
// tests/explore/races.toml says what is replaced by what; mutate.py makes copies of the core files concerned in which the mutated text
// stands beside the original, chosen by `active_mutation`. Only the binary explore_mutants is linked with those copies.
#pragma once

#include <span>

namespace quire::explore {

struct Mutation {
  unsigned id;
  const char* name;
  const char* scenario;  ///< must notice it
};

/// All there are in this binary; none in the one that explores core as it is.
std::span<const Mutation> mutations();

/// The id of the one in force; 0: none.
inline unsigned active_mutation = 0;

}  // namespace quire::explore
