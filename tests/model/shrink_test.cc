// Sequences of operations by RapidCheck: the same runner and oracle as the random model test, and
// failures that are shrunk. The only file that includes RapidCheck, which takes long to compile.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "model/shrink.h"

namespace quire::model {
namespace {

/// What has been found by then must do.
constexpr std::chrono::seconds kPatience{120};

/// The shortest sequence found for which `fails` holds; removes chunks, as RapidCheck does for
/// containers.
template <typename Fails>
Words shrink(Words words, Fails fails) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (bool progress = true; std::exchange(progress, false);) {
    auto candidates = rc::shrink::removeChunks(words);
    while (auto candidate = candidates.next()) {
      if (std::chrono::steady_clock::now() > deadline) return words;
      if (!fails(*candidate)) continue;
      words = *candidate;
      progress = true;
      break;
    }
  }
  return words;
}

RunnerConfig config_for(unsigned choice) {
  RunnerConfig config;
  config.mode = static_cast<ForkMode>(choice % 3);
  config.geometry = choice % 2 == 0 ? Geometry::x86_64() : Geometry::tiny(3, 3);
  config.memory = std::uint64_t{32} << 20;
  config.audit_every = 16;
  return config;
}

}  // namespace

bool agrees(const RunnerConfig& config, const Words& words, std::string* failure) {
  Runner runner(config);
  for (const std::uint64_t word : words) runner.step(Operation::from_word(word));
  runner.finish();
  if (failure != nullptr) *failure = runner.failure();
  return runner.ok();
}

Words shrink_disagreement(const RunnerConfig& config, Words words) {
  return shrink(std::move(words),
                [&](const Words& candidate) { return !agrees(config, candidate); });
}

namespace {

// Rows: S0.2 S0.12
TEST(ModelProperties, EverySequenceAgreesWithTheOracle) {
  // The same sequences on each run; RC_PARAMS="seed=…" asks for others.
  setenv("RC_PARAMS", "seed=1", 0);  // NOLINT(concurrency-mt-unsafe): no other thread exists
  EXPECT_TRUE(rc::check("a sequence of operations agrees with the flat oracle",
                        [](unsigned choice, const Words& words) {
                          std::string failure;
                          if (!agrees(config_for(choice), words, &failure)) RC_FAIL(failure);
                        }));
}

// Rows: S2.8
TEST(ModelProperties, AFailureIsShrunkToTheOperationsThatMatter) {
  // As if a fork after a store were a failure: two operations of two hundred are needed to show it.
  const auto fails = [](const Words& words) {
    Runner runner(config_for(1));
    bool stored = false;
    for (const std::uint64_t word : words) {
      const std::uint64_t forks = runner.counts().by_kind[static_cast<unsigned>(Kind::kFork)];
      runner.step(Operation::from_word(word));
      if (stored && runner.counts().by_kind[static_cast<unsigned>(Kind::kFork)] != forks)
        return true;
      stored = stored || runner.counts().by_kind[static_cast<unsigned>(Kind::kStore)] != 0;
    }
    return false;
  };
  Random random(1);
  Words words;
  for (int n = 0; n < 200; ++n) words.push_back(random.next());
  ASSERT_TRUE(fails(words));
  EXPECT_EQ(shrink(words, fails).size(), 2U);
}

}  // namespace
}  // namespace quire::model
