// Fork: what the child sees, what is shared and counted, and what the first write costs.
#include "support/fixture.h"

namespace quire::test {
namespace {

class Fork : public EveryMode {};
QUIRE_IN_EVERY_MODE(Fork);

// Rows: S0.9 S0.13 S1.5
TEST_P(Fork, LeavesTheParentsDataAloneWhenTheChildWrites) {
  map("AAAA");
  fill(space(), 0, 4);
  const Space child = fork();
  poke(child, 1, 77);
  EXPECT_EQ(peek(child, 1), 77U);
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_EQ(peek(child, 3), 4U);
}

}  // namespace
}  // namespace quire::test
