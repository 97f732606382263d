// Shared anonymous memory: an object's pages, seen by all who map them, across fork, unmapping and
// protection.
#include "support/fixture.h"

namespace quire::test {
namespace {

class Shared : public EveryMode {
 protected:
  static constexpr MapStyle kShared{.flags = uapi::kMapShared};
};
QUIRE_IN_EVERY_MODE(Shared);

// Rows: S0.14 S4.38
TEST_P(Shared, StaysVisibleBothWaysAfterForkNextToPrivateMemory) {
  map("PPSS..");
  map("..SS..", kShared);
  fill(space(), 0, 4);
  const Space child = fork();
  for (std::uint64_t round = 10; round < 20; ++round) {
    poke(space(), 2, round);
    EXPECT_EQ(peek(child, 2), round);
    poke(child, 3, round);
    EXPECT_EQ(peek(space(), 3), round);
    poke(child, 0, round);
    EXPECT_EQ(peek(space(), 0), 1U);
  }
}

// Rows: S4.38
TEST_P(Shared, IsSeenWhoeverTouchesItFirst) {
  map("SS", kShared);
  const Space child = fork();
  poke(child, 0, 5);
  EXPECT_EQ(peek(space(), 0), 5U);
  EXPECT_EQ(peek(space(), 1), 0U);
  poke(space(), 1, 6);
  EXPECT_EQ(peek(child, 1), 6U);
}

// Rows: S4.38 S4.15
TEST_P(Shared, OutlivesTheOneWhoUnmaps) {
  map("SSSS", kShared);
  fill(space(), 0, 4);
  const Space child = fork();
  ASSERT_TRUE(unmap(space(), 0, 4));
  EXPECT_EQ(peek(child, 2), 3U);
  const PageCount before = machine().frames_in_use();
  ASSERT_TRUE(child->munmap(at(0), PageCount(4).bytes()));
  EXPECT_LT(machine().frames_in_use().raw() + 3, before.raw())
      << "the last mapping gone, the object's pages are freed";
}

// Rows: S0.35 S0.62
TEST_P(Shared, LeavesTheOthersWritingWhenOneGivesUpWriting) {
  map("SS", kShared);
  fill(space(), 0, 2);
  Space child = fork();
  ASSERT_TRUE(protect(child, 0, 2, uapi::kProtRead));
  EXPECT_EQ(outcome(child, 0, Access::kWrite), FaultOutcome::kAccessError);
  poke(space(), 0, 50);
  EXPECT_EQ(peek(child, 0), 50U);
}

// Rows: S2.52
TEST_P(Shared, MixesWithPrivateMemoryInEveryOrder) {
  // Shared and private in one span, fork, part unmapped by either side, private mapped over it and
  // written.
  for (int order = 0; order < 8; ++order) {
    Space parent = new_space();
    map(parent, "SSSSPPPP", kShared);
    map(parent, "....PPPP");
    fill(parent, 0, 8);
    Space child = fork(parent);
    Space& cutter = (order & 1) != 0 ? child : parent;
    const Space& other = (order & 1) != 0 ? parent : child;
    const std::uint64_t from = (order & 2) != 0 ? 2 : 3;
    ASSERT_TRUE(unmap(cutter, from, 3));
    map_pages(cutter, from, 3);
    if ((order & 4) != 0) poke(other, from, 99);
    poke(cutter, from, 1000);
    EXPECT_EQ(peek(other, from), (order & 4) != 0 ? 99U : from + 1);
    EXPECT_EQ(peek(cutter, 7), 8U);
    EXPECT_EQ(peek(cutter, from + 1), 0U);
    poke(cutter, 0, 5);
    EXPECT_EQ(peek(other, 0), 5U);
    cpu().run(space());
  }
}

// Rows: S4.38 S0.31
TEST_P(Shared, IsCountedAsSharedMemory) {
  map("SSP.", kShared);
  map("..P.");
  fill(space(), 0, 3);
  EXPECT_EQ(space()->usage().rss_shmem.raw(), 2U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 1U);
  const Space child = fork();
  EXPECT_EQ(child->usage().rss_shmem.raw(), 2U);
  ASSERT_TRUE(child->munmap(at(0), PageCount(1).bytes()));
  EXPECT_EQ(child->usage().rss_shmem.raw(), 1U);
  EXPECT_EQ(space()->usage().rss_shmem.raw(), 2U);
}

// Rows: S4.16 S4.3 I11
TEST_F(MachineTest, FindsEveryTableThatMapsAPageOnce) {
  map("SA", {.flags = uapi::kMapShared});
  map(".A");
  fill(space(), 0, 2);
  std::vector<Space> children;
  for (int n = 0; n < 10; ++n) children.push_back(fork());
  const auto tables_of = [&](const Space& where, std::uint64_t page) {
    const Frame& frame = memory().frame(path_to(*where, at(page)).leaf);
    unsigned found = 0;
    frame.page.object->for_each_table(PageIndex(frame.page.index), [&](Frame& table, Slot slot) {
      const auto* const entries = reinterpret_cast<const std::uint64_t*>(memory().contents(table));
      if (Entry::decoded(entries[slot]).pfn() == memory().pfn_of(frame)) ++found;
      return true;
    });
    return found;
  };
  EXPECT_EQ(tables_of(space(), 0), 1U) << "ten children share the one table";
  EXPECT_EQ(tables_of(space(), 1), 1U);
  poke(children[3], 1, 8);  // this child has its own copy of the table now
  EXPECT_EQ(tables_of(space(), 0), 2U);
  EXPECT_EQ(tables_of(space(), 1), 1U);
  EXPECT_EQ(tables_of(children[3], 1), 1U) << "its own page belongs to its own object";
}

}  // namespace
}  // namespace quire::test
