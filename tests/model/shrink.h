// Makes a failing sequence of operations as short as RapidCheck can, for the report of a failure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/runner.h"

namespace quire::model {

/// Operations as raw words: Operation::from_word() of each.
using Words = std::vector<std::uint64_t>;

/// Runs the words from an empty machine; true if core and oracle agree to the end.
[[nodiscard]] bool agrees(const RunnerConfig& config, const Words& words,
                          std::string* failure = nullptr);

/// The shortest sequence found on which they still disagree. Pre: they do on the given one.
[[nodiscard]] Words shrink_disagreement(const RunnerConfig& config, Words words);

}  // namespace quire::model
