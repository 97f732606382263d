// The reverse map: from a page to its entries, and what is read from all of them at once.
#include "quire/rmap/rmap.h"

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class Rmap : public EveryMode {
 protected:
  [[nodiscard]] Frame& frame_of(const Space& where, std::uint64_t page) {
    return memory().frame(path_to(*where, at(page)).leaf);
  }
  RmapVisits visits(Frame& frame) {
    frame.get();
    const RmapVisits met = for_each_entry(memory(), frame, [](auto&&...) {});
    static_cast<void>(frame.put());
    return met;
  }
  [[nodiscard]] unsigned young(Frame& frame) {
    frame.get();
    const unsigned count = test_and_clear_young(memory(), frame);
    static_cast<void>(frame.put());
    return count;
  }
  [[nodiscard]] bool dirty(Frame& frame) {
    frame.get();
    const bool is = collect_dirty(memory(), frame);
    static_cast<void>(frame.put());
    return is;
  }
};
QUIRE_IN_EVERY_MODE(Rmap);

// Rows: I11 S2.21 S4.1 S4.37
TEST_P(Rmap, FindsEachEntryOnceHoweverManyProcessesShareTheTable) {
  map("AS", {.flags = uapi::kMapShared});
  map("A");
  fill(space(), 0, 2);
  std::vector<Space> children;
  for (int n = 0; n < 20; ++n) children.push_back(fork());
  for (const std::uint64_t page : {0U, 1U}) {
    Frame& frame = frame_of(space(), page);
    EXPECT_EQ(visits(frame).entries, frame.leaf_entries());
    EXPECT_EQ(visits(frame).entries, GetParam() == ForkMode::kCopy ? 21U : 1U);
  }
  poke(children[3], 0, 8);
  Frame& shared = frame_of(space(), 1);
  EXPECT_EQ(visits(shared).entries, GetParam() == ForkMode::kCopy ? 21U : 2U);
  EXPECT_EQ(visits(frame_of(children[3], 0)).entries, 1U);
}

// Rows: S4.5
TEST_P(Rmap, LooksIntoNoTableThatEndsBeforeThePage) {
  map_pages(space(), 0, 3 * kSpan);
  fill(space(), 0, 3 * kSpan);
  for (const std::uint64_t page : {kSpan - 1, kSpan, 2 * kSpan - 1, 2 * kSpan}) {
    EXPECT_EQ(visits(frame_of(space(), page)).tables, 1U) << page;
  }
}

// Rows: S4.5 S4.4 S2.25
TEST_P(Rmap, LooksAtTheOwnersTableOnlyInALargeFamily) {
  constexpr unsigned kChildren = 100, kPages = 100;  // a thousand of each: bench/
  map_pages(space(), 0, kPages);
  fill(space(), 0, kPages);
  std::vector<Space> children;
  for (unsigned n = 0; n < kChildren; ++n) {
    children.push_back(fork());
    fill(children.back(), 0, kPages);
  }
  std::uint32_t most = 0;
  for (const Space& child : children) {
    for (std::uint64_t page = 0; page < kPages; ++page) {
      const RmapVisits met = visits(frame_of(child, page));
      EXPECT_EQ(met.entries, 1U);
      most = std::max(most, met.tables);
    }
  }
  EXPECT_LE(most, 2U);
}

// Rows: S4.30 R24
TEST_P(Rmap, DoesNotFollowAPageToAnObjectThatIsGone) {
  Space child = fork();
  map(child, "A");
  fill(child, 0, 1);
  Frame& frame = frame_of(child, 0);
  frame.get();
  child.reset();
  Space other = fork();  // its object may have the memory of the one that went
  map(other, "B");
  fill(other, 0, 1);
  const RmapVisits met = for_each_entry(memory(), frame, [](auto&&...) {});
  EXPECT_EQ(met.entries, 0U);
  ASSERT_TRUE(frame.put());
  memory().pool().give(&frame);
}

// Rows: S2.22
TEST_P(Rmap, CountsOneUseOfASharedEntryOnce) {
  map("A");
  fill(space(), 0, 1);
  Frame& frame = frame_of(space(), 0);
  EXPECT_EQ(young(frame), 1U);
  EXPECT_EQ(young(frame), 0U);
  std::vector<Space> children;
  for (int n = 0; n < 10; ++n) children.push_back(fork());
  for (const Space& child : children) EXPECT_EQ(peek(child, 0), 1U);
  EXPECT_EQ(young(frame), GetParam() == ForkMode::kCopy ? 10U : 1U);
  EXPECT_EQ(young(frame), 0U);
}

// Rows: I14 S0.43
TEST_P(Rmap, SeesEveryStoreSinceThePageWasClean) {
  map("A", {.flags = uapi::kMapShared});
  fill(space(), 0, 1);
  Space child = fork();
  poke(child, 0, 2);
  poke(space(), 0, 3);
  Frame& frame = frame_of(space(), 0);
  EXPECT_TRUE(dirty(frame));
  EXPECT_TRUE(dirty(frame)) << "not yet saved";
  clear_dirty(frame);
  EXPECT_EQ(peek(space(), 0), 3U);
  EXPECT_FALSE(dirty(frame));
  poke(space(), 0, 4);  // through a translation that was cached as dirty
  EXPECT_TRUE(dirty(frame));
  clear_dirty(frame);
  poke(child, 0, 5);
  EXPECT_TRUE(dirty(frame));
}

}  // namespace
}  // namespace quire::test
