// Which pages were written since somebody asked (soft-dirty).
#include "quire/space/hold.h"
#include "quire/space/observe.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class TrackWrites : public EveryMode {
 protected:
  static constexpr MapStyle kShared{.flags = uapi::kMapShared};
  void track(const Space& where) { ASSERT_TRUE(where->track_writes().has_value()); }
  /// A letter for each page from `first` on: d was written or is new, - was not.
  [[nodiscard]] std::string written(const Space& where, std::uint64_t first, std::uint64_t count) {
    std::vector<PageState> states(count);
    Observer(*where).look(at(first), states);
    std::string text;
    for (const PageState& state : states) text += state.soft_dirty ? 'd' : '-';
    return text;
  }
};
QUIRE_IN_EVERY_MODE(TrackWrites);

// Rows: S0.62 X16
TEST_P(TrackWrites, TellsPagesThatWereWrittenSince) {
  map("AAAA..");
  fill(space(), 0, 2);
  EXPECT_EQ(written(space(), 0, 6), "dddd--") << "what is new counts as written, there or not";
  track(space());
  expect_clean_audit();
  EXPECT_EQ(written(space(), 0, 6), "------");
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_EQ(peek(space(), 2), 0U);
  EXPECT_EQ(written(space(), 0, 4), "----") << "reading is not writing";
  poke(space(), 1, 5);
  poke(space(), 2, 6);
  poke(space(), 3, 7);
  EXPECT_EQ(written(space(), 0, 4), "-ddd");
  track(space());
  poke(space(), 3, 8);
  EXPECT_EQ(written(space(), 0, 4), "---d");
}

// Rows: S0.62 X16
TEST_P(TrackWrites, LeavesOthersTheirOwnView) {
  map_pages(space(), 0, kSpan * 2);
  fill(space(), 0, 4);
  track(space());
  poke(space(), 1, 9);
  const Space child = fork();
  EXPECT_EQ(written(child, 0, 4), "-d--") << "a child knows what its parent knew";
  track(child);
  expect_clean_audit();
  EXPECT_EQ(written(child, 0, 4), "----");
  EXPECT_EQ(written(space(), 0, 4), "-d--");
  poke(space(), 2, 10);
  EXPECT_EQ(written(child, 0, 4), "----");
  EXPECT_EQ(written(space(), 0, 4), "-dd-");
  poke(child, 0, 11);
  EXPECT_EQ(written(child, 0, 4), "d---");
  EXPECT_EQ(written(space(), 0, 4), "-dd-");
  const Space grandchild = fork(child);
  track(space());
  EXPECT_EQ(written(grandchild, 0, 4), "d---");
}

// Rows: S0.62 X12 X16
TEST_P(TrackWrites, FollowsSharedMemoryByWhoWritesThere) {
  map_pages(space(), 0, kSpan, kShared);
  const Space child = fork();
  fill(space(), 0, 3);
  EXPECT_EQ(peek(child, 1), 2U);
  track(space());
  poke(child, 0, 5);
  EXPECT_EQ(peek(space(), 0), 5U);
  EXPECT_EQ(peek(space(), 3), 0U);
  EXPECT_EQ(written(space(), 0, 5), "-----");
  poke(space(), 1, 6);
  poke(space(), 3, 7);
  EXPECT_EQ(written(space(), 0, 5), "-d-d-");
  EXPECT_EQ(written(child, 0, 1), "d");
}

// Rows: S0.61 X16
TEST_P(TrackWrites, CountsWhatIsNewAsWritten) {
  map("AA");
  fill(space(), 0, 2);
  track(space());
  map_pages(space(), 4, 1, {.prot = uapi::kProtRead});
  EXPECT_EQ(written(space(), 0, 5), "----d");
  map_pages(space(), 2, 1);
  EXPECT_EQ(written(space(), 0, 3), "ddd") << "one mapping with what was there";
  track(space());
  ASSERT_TRUE(space()->mremap({.old_address = at(0), .old_length = ByteCount(kPageSize), .new_length = ByteCount(kPageSize),
                               .flags = uapi::kMremapMayMove | uapi::kMremapFixed, .new_address = at(kSpan + 8)}));
  EXPECT_EQ(written(space(), kSpan + 8, 1), "d");
  EXPECT_EQ(written(space(), 1, 2), "--");
  ASSERT_TRUE(protect(space(), 1, 1, uapi::kProtRead));
  EXPECT_EQ(written(space(), 1, 2), "--") << "rights are not contents";
}

// Rows: R21 X16
TEST_P(TrackWrites, SeesWritesFromOutside) {
  map("AA", {.prot = uapi::kProtRead});
  EXPECT_EQ(peek(space(), 0), 0U);
  track(space());
  const std::uint64_t value = 7;
  ASSERT_TRUE(space()->poke(at(0), std::as_bytes(std::span(&value, 1))));
  EXPECT_EQ(written(space(), 0, 2), "d-");
  track(space());
  ASSERT_TRUE(space()->poke(at(0), std::as_bytes(std::span(&value, 1))));
  EXPECT_EQ(written(space(), 0, 2), "d-");
  ASSERT_TRUE(protect(space(), 0, 2, uapi::kProtRead | uapi::kProtWrite));
  poke(space(), 1, 1);
  auto held = space()->hold(at(1), Access::kWrite, HoldKind::kPin);
  ASSERT_TRUE(held.has_value());
  track(space());
  EXPECT_EQ(written(space(), 0, 2), "-d") << "whoever has a page pinned may write it at any time";
}

}  // namespace
}  // namespace quire::test
