// Out of memory anywhere: the n-th allocation of an operation fails, for every n. The operation
// answers ENOMEM (an access: out of memory), nothing has changed, and the same operation succeeds
// afterwards as if nothing had been.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "model/runner.h"
#include "support/fixture.h"

namespace quire::model {
namespace {

/// Failures injected and reported, over all tests.
std::uint64_t injected = 0;

struct Case {
  ForkMode mode;
  Geometry geometry;
  const char* name;
};
const Case kCases[] = {
    {ForkMode::kTree, Geometry::x86_64(), "tree_x86"},
    {ForkMode::kLeaf, Geometry::x86_64(), "leaf_x86"},
    {ForkMode::kCopy, Geometry::x86_64(), "copy_x86"},
    {ForkMode::kTree, Geometry::tiny(3, 3), "tree_three"},
    {ForkMode::kTree, Geometry::tiny(5, 2), "tree_narrow"},
    {ForkMode::kCopy, Geometry::tiny(2, 5), "copy_two"},
};

class OutOfMemory : public ::testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] static RunnerConfig config() {
    RunnerConfig config;
    config.mode = GetParam().mode;
    config.geometry = GetParam().geometry;
    config.audit_every = 0;
    config.memory = std::uint64_t{32} << 20;
    return config;
  }
  static void TearDownTestSuite() {
    std::printf("oom: %llu injected failures, each undone whole\n",
                static_cast<unsigned long long>(injected));
  }
};

// Rows: S0.23 S0.40 S0.54 S1.24
TEST_P(OutOfMemory, EachOperationIsUndoneWholeWhicheverAllocationFails) {
  constexpr std::uint64_t kSeeds = 40, kHistory = 120, kMost = 400;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (std::uint64_t nth = 1;; ++nth) {
      ASSERT_LT(nth, kMost) << "an operation that allocates without end";
      // The same history each time, then the operation with another failure.
      Runner runner(config());
      Random random(seed);
      for (std::uint64_t n = 0; n < kHistory; ++n) runner.step(Operation::from_word(random.next()));
      const bool failed = runner.step_with_failure(Operation::from_word(random.next()), nth);
      for (std::uint64_t n = 0; n < 10; ++n) runner.step(Operation::from_word(random.next()));
      runner.finish();
      ASSERT_TRUE(runner.ok()) << "seed " << seed << ", allocation " << nth << ": "
                               << runner.failure();
      if (!failed) break;
      ++injected;
    }
  }
}

// Rows: S0.40
TEST_P(OutOfMemory, LifeGoesOnAfterManyFailures) {
  Runner runner(config());
  Random random(4711);
  for (std::uint64_t n = 0; n < 3000 && runner.ok(); ++n) {
    const Operation operation = Operation::from_word(random.next());
    if (runner.step_with_failure(operation, 1 + random.next() % 12)) ++injected;
  }
  runner.finish();
  EXPECT_TRUE(runner.ok()) << runner.failure();
}

INSTANTIATE_TEST_SUITE_P(Modes, OutOfMemory, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& parameter) {
                           return std::string(parameter.param.name);
                         });

}  // namespace
}  // namespace quire::model
