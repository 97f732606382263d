// Decisions about shared tables and frames: what counts, what does not, and whose layout it is.
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class Sharing : public MachineTest {
 protected:
  [[nodiscard]] Path path(const Space& where, std::uint64_t page) {
    return path_to(*where, at(page));
  }
};

// Rows: S0.3
TEST_F(Sharing, IgnoresReferencesOnTheFramesOfTables) {
  map("AA");
  fill(space(), 0, 2);
  Space child = fork();
  const Path shared = path(space(), 0);
  for (unsigned n = 0; n < shared.depth; ++n) memory().frame(shared.tables[n]).get();
  child.reset();
  const std::uint64_t copies = counter(Counter::kUnshareFault);
  poke(space(), 0, 9);
  EXPECT_EQ(counter(Counter::kUnshareFault), copies)
      << "the share count alone decides that the tables may be taken over";
  EXPECT_EQ(path(space(), 0).tables[2], shared.tables[2]);
  for (unsigned n = 0; n < shared.depth; ++n) {
    EXPECT_TRUE(memory().frame(shared.tables[n]).put()) << "the reference was the frame's only one";
  }
}

// Rows: S0.26
TEST_F(Sharing, RaisesNoCountForASecondUserOfASpace) {
  map("AA");
  fill(space(), 0, 2);
  const Space thread = space().share();
  Cpu& second = new_cpu();
  second.run(thread);
  EXPECT_EQ(second.load<std::uint64_t>(at(1)).value_or(0), 2U);
  for (unsigned n = 0; n < path(space(), 0).depth; ++n) EXPECT_EQ(path(space(), 0).shares[n], 1U);
  ASSERT_TRUE(second.store<std::uint64_t>(at(0), 5));
  EXPECT_EQ(peek(space(), 0), 5U) << "one memory, two threads";
  second.stop();
}

// Rows: S0.34 R10
TEST_F(Sharing, KeepsANewMappingOfTheChildOutOfTheParent) {
  map("AA..BB");
  fill(space(), 0, 2);
  Space child = fork();
  map(child, "..CC", {.flags = uapi::kMapShared});
  poke(child, 2, 42);
  (void)peek(child, 3);
  EXPECT_EQ(outcome(space(), 2, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(outcome(space(), 3, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(draw_pages(*space(), base(), 6), "aa....");
  EXPECT_EQ(draw_pages(*child, base(), 6), "aass..");
}

// Rows: S0.34
TEST_F(Sharing, FillsAHoleOfASharedTableForTheReaderAlone) {
  map("AAAA");
  fill(space(), 0, 2);
  const Space child = fork();
  EXPECT_EQ(peek(child, 2), 0U);
  EXPECT_EQ(draw_pages(*child, base(), 4), "aaz.");
  EXPECT_EQ(draw_pages(*space(), base(), 4), "aa..");
}

// Rows: S1.4 S1.14 R20
TEST_F(Sharing, CopiesAPageThatSomebodyElseHoldsAtEverySlot) {
  map_pages(space(), 0, kSpan);
  fill(space(), 0, kSpan);
  Space child = fork();
  // The child takes a reference on each page, as a pipe would, and ends.
  std::vector<Frame*> held;
  for (std::uint64_t n = 0; n < kSpan; ++n) {
    Frame& frame = memory().frame(path(child, n).leaf);
    frame.get();
    held.push_back(&frame);
  }
  child.reset();
  // As whoever takes such a reference must: W goes from the leaves, or the table would be taken
  // over with them writable.
  auto* const entries =
      reinterpret_cast<std::uint64_t*>(memory().window(path(space(), 0).tables[2]));
  for (std::uint64_t n = 0; n < kSpan; ++n) entries[n] &= ~mmu::RawEntry::kWrite;
  for (std::uint64_t n = 0; n < kSpan; ++n) {
    poke(space(), n, 1000 + n);
    const auto* const seen = reinterpret_cast<const std::uint64_t*>(memory().contents(*held[n]));
    EXPECT_EQ(*seen, n + 1) << "the holder sees no later store";
  }
  EXPECT_EQ(counter(Counter::kCowReuse), 0U);
  for (Frame* const frame : held) {
    if (frame->put()) memory().pool().give(frame);
  }
}

// Rows: S1.19 S0.47
TEST_F(Sharing, NeedsAtMostOneTablePerLevelForAnyFault) {
  map_pages(space(), 0, kSpan * kSpan * 2);
  fill(space(), 0, 3);
  poke(space(), kSpan * kSpan, 1);
  std::vector<Space> family;
  family.push_back(fork());
  for (int generation = 0; generation < 5; ++generation) family.push_back(fork(family.back()));
  const unsigned levels = memory().geometry().levels();
  for (const Space& member : family) {
    for (const std::uint64_t page :
         {std::uint64_t{1}, kSpan * 3, kSpan * kSpan, kSpan * kSpan + 7}) {
      const std::uint64_t before = counter(Counter::kTableAlloc);
      poke(member, page, 5);
      EXPECT_LE(counter(Counter::kTableAlloc) - before, levels - 1);
      const std::uint64_t again = counter(Counter::kTableAlloc);
      poke(member, page, 6);
      EXPECT_EQ(counter(Counter::kTableAlloc), again);
    }
  }
}

// Rows: S2.44 R17 S2.12
TEST_F(Sharing, ReturnsTheShareOfAForkThatFails) {
  map_pages(space(), 0, kSpan * 4);
  for (std::uint64_t n = 0; n < 4; ++n) poke(space(), n * kSpan, 1);
  ASSERT_TRUE(advise(space(), kSpan, 1, uapi::kMadvDontFork));
  for (std::uint64_t nth = 1; nth < 10; ++nth) {
    memory().pool().fail_after(nth);
    auto child = space().fork();
    memory().pool().fail_after(0);
    if (child) break;
    for (unsigned n = 0; n < path(space(), 0).depth; ++n) EXPECT_EQ(path(space(), 0).shares[n], 1U);
  }
}

}  // namespace
}  // namespace quire::test
