// Zero is a kind: reading untouched private memory costs no frame and no count, at any size, and
// never becomes writable.
#include <cstring>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512, kGiB = 512 * 512;

class Zero : public MachineTest {
 protected:
  [[nodiscard]] Path path(const Space& where, std::uint64_t page) {
    return path_to(*where, at(page));
  }
  /// Whether every zero object still holds what it was made with.
  void expect_zero_untouched() {
    const std::byte* const frame = memory().window(memory().zero().frame());
    for (std::size_t n = 0; n < kPageSize; ++n) ASSERT_EQ(frame[n], std::byte{0});
  }
};

// Rows: S3.1 S3.2 S3.14 S3.35 X5
TEST_F(Zero, ReadsAGigabyteWithoutAFrame) {
  map_pages(space(), 0, kGiB);
  (void)peek(space(), 0);  // the tables above
  const std::uint64_t frames = counter(Counter::kFrameAlloc);
  const std::uint64_t faults = counter(Counter::kFaultMinor);
  for (std::uint64_t n = 0; n < kGiB; n += 37) EXPECT_EQ(peek(space(), n), 0U);
  EXPECT_EQ(counter(Counter::kFrameAlloc), frames);
  EXPECT_EQ(counter(Counter::kFaultMinor), faults) << "one entry serves all of it";
  EXPECT_EQ(space()->usage().rss().raw(), 0U);
  EXPECT_TRUE(path(space(), 5000).zero_table);
  EXPECT_EQ(path(space(), 5000).depth, 1U);
}

// Rows: S3.14 S3.35
TEST_F(Zero, MapsSinglePagesWhereAMappingDoesNotCoverASpan) {
  map_pages(space(), 0, 10);
  for (std::uint64_t n = 0; n < 10; ++n) EXPECT_EQ(peek(space(), n), 0U);
  EXPECT_EQ(draw_pages(*space(), base(), 11), "zzzzzzzzzz.");
  EXPECT_EQ(counter(Counter::kZeroMap), 10U);
  EXPECT_EQ(space()->usage().rss().raw(), 0U);
}

// Rows: S3.16
TEST_F(Zero, FlushesNothingWhenAnAbsentEntryIsFilled) {
  map_pages(space(), 0, kSpan * 2);
  const std::uint64_t flushes = counter(Counter::kFlush);
  (void)peek(space(), 0);
  (void)peek(space(), kSpan);
  EXPECT_EQ(counter(Counter::kFlush), flushes);
}

// Rows: S3.18 S3.17 I13
TEST_F(Zero, IsReplacedByAFreshFrameOnWrite) {
  map_pages(space(), 0, kSpan * 2);
  (void)peek(space(), 3);
  poke(space(), 3, 9);
  EXPECT_EQ(peek(space(), 3), 9U);
  EXPECT_EQ(peek(space(), 4), 0U);
  EXPECT_EQ(draw_pages(*space(), base(), 6), "zzzazz");
  EXPECT_EQ(space()->usage().rss_anon.raw(), 1U);
  EXPECT_EQ(counter(Counter::kZeroToFrame), 1U);
  EXPECT_EQ(counter(Counter::kCowCopy), 0U) << "copying zero is clearing";
  expect_zero_untouched();
}

// Rows: S3.2 S3.30 I13
TEST_F(Zero, IsNeitherCountedNorFreedByForkAndExit) {
  map_pages(space(), 0, kSpan * 4);
  (void)peek(space(), 0);
  map_pages(space(), kSpan * 8, 4);
  (void)peek(space(), kSpan * 8);
  const Frame& frame = memory().frame(memory().zero().frame());
  const std::uint64_t counts = frame.counts.load_relaxed();
  {
    Space child = fork();
    (void)peek(child, 5);
    poke(child, 6, 1);
    const Space grandchild = fork(child);
    poke(grandchild, kSpan * 8, 1);
    cpu().run(space());
  }
  EXPECT_EQ(frame.counts.load_relaxed(), counts);
  for (Level level(1); level < memory().geometry().root_level(); level = level.above()) {
    EXPECT_EQ(memory().frame(memory().zero().table(level)).kind, FrameKind::kZero);
  }
  expect_zero_untouched();
}

// Rows: S3.3 S3.4 S4.38
TEST_F(Zero, IsNeverMappedIntoSharedMemory) {
  map("SS", {.flags = uapi::kMapShared});
  Space child = fork();
  EXPECT_EQ(peek(space(), 0), 0U);
  EXPECT_EQ(draw_pages(*space(), base(), 2), "s.");
  poke(child, 0, 7);
  EXPECT_EQ(peek(space(), 0), 7U);
  // Also read-only: others may write to it.
  map("..R", {.prot = uapi::kProtRead, .flags = uapi::kMapShared});
  (void)peek(space(), 2);
  EXPECT_EQ(draw_pages(*space(), base(), 3), "s.s");
}

// Rows: S3.15
TEST_F(Zero, LosesAnInstallRaceWithoutAllocating) {
  map_pages(space(), 0, 2);
  Cpu& other = new_cpu();
  (void)peek(space(), 0);
  other.run(space());
  const std::uint64_t frames = counter(Counter::kFrameAlloc);
  // The slot is occupied when the second reader arrives, as if it had lost the race.
  EXPECT_EQ(space()->fault(at(0), Access::kRead), FaultOutcome::kMinor);
  EXPECT_EQ(other.load<std::uint64_t>(at(0)).value_or(1), 0U);
  EXPECT_EQ(counter(Counter::kFrameAlloc), frames);
  EXPECT_EQ(space()->fault(at(0), Access::kRead), FaultOutcome::kMinor);
}

// Rows: S3.17 R22
TEST_F(Zero, RefusesWritePermissionWhateverMprotectSays) {
  map_pages(space(), 0, kSpan * 2, {.prot = uapi::kProtRead});
  (void)peek(space(), 0);
  ASSERT_TRUE(protect(space(), 0, kSpan * 2, uapi::kProtRead | uapi::kProtWrite));
  EXPECT_EQ(path(space(), 0).zero_table, true);
  poke(space(), 0, 1);
  EXPECT_EQ(peek(space(), 1), 0U);
  expect_zero_untouched();
}

// Rows: X5
TEST_F(Zero, KeepsExecutionRightsApart) {
  map_pages(space(), 0, kSpan, {.prot = uapi::kProtRead});
  map_pages(space(), kSpan, kSpan, {.prot = uapi::kProtRead | uapi::kProtExec});
  (void)peek(space(), 0);
  (void)peek(space(), kSpan);
  EXPECT_EQ(outcome(space(), 0, Access::kExecute), FaultOutcome::kAccessError);
  EXPECT_EQ(outcome(space(), kSpan, Access::kExecute), FaultOutcome::kMinor);
  ASSERT_TRUE(protect(space(), kSpan, kSpan, uapi::kProtRead));
  EXPECT_EQ(outcome(space(), kSpan, Access::kExecute), FaultOutcome::kAccessError);
  ASSERT_TRUE(protect(space(), 0, kSpan, 0));
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kAccessError);
}

// Rows: X5 S0.50
TEST_F(Zero, IsLeftBehindByPartialUnmap) {
  map_pages(space(), 0, kSpan * 2);
  (void)peek(space(), 0);
  ASSERT_TRUE(unmap(space(), 10, 5));
  EXPECT_EQ(peek(space(), 9), 0U);
  EXPECT_EQ(outcome(space(), 10, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(peek(space(), 15), 0U);
}

class WithoutZero : public MachineTest {
 protected:
  WithoutZero() { machine_config_.zero_page = false; }
};

// Rows: S3.10
TEST_F(WithoutZero, GivesPrivateFramesToReaders) {
  map_pages(space(), 0, kSpan);
  for (std::uint64_t n = 0; n < 4; ++n) EXPECT_EQ(peek(space(), n), 0U);
  EXPECT_EQ(draw_pages(*space(), base(), 5), "aaaa.");
  EXPECT_EQ(space()->usage().rss_anon.raw(), 4U);
  EXPECT_EQ(counter(Counter::kZeroMap) + counter(Counter::kShareZero), 0U);
}

}  // namespace
}  // namespace quire::test
