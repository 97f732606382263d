// munmap: whole tables are detached, edges are unshared, nobody else notices.
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512, kGiB = 512 * 512;

class Unmap : public EveryMode {};
QUIRE_IN_EVERY_MODE(Unmap);

class TreeUnmap : public MachineTest {
 protected:
  [[nodiscard]] std::uint64_t copies() { return counter(Counter::kUnshareMunmap); }
  [[nodiscard]] Path path(const Space& where, std::uint64_t page) {
    return path_to(*where, at(page));
  }
};

// Rows: S0.50 S0.54
TEST_P(Unmap, CutsTheMiddleOutOfAMapping) {
  map("AAAAAA");
  fill(space(), 0, 6);
  ASSERT_TRUE(unmap(space(), 2, 2));
  EXPECT_EQ(picture(space(), 6), "AA..BB");
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_EQ(peek(space(), 4), 5U);
  EXPECT_EQ(outcome(space(), 2, Access::kRead), FaultOutcome::kMapError);
}

// Rows: S0.27 S0.31
TEST_P(Unmap, LeavesTheParentIntactWhenTheChildUnmapsEverything) {
  map_pages(space(), 0, kSpan * 2);
  fill(space(), 0, 10);
  fill(space(), kSpan, 10);
  Space child = fork();
  ASSERT_TRUE(unmap(child, 0, kSpan * 2));
  EXPECT_EQ(child->usage().rss().raw(), 0U);
  EXPECT_EQ(space()->usage().rss().raw(), 20U);
  EXPECT_EQ(path_to(*space(), at(0)).widest_share(), 1U);
  for (std::uint64_t n = 0; n < 10; ++n) EXPECT_EQ(peek(space(), n), n + 1);
}

// Rows: S0.7
TEST_P(Unmap, ReadsZeroWhereTheParentMapsAnew) {
  map_pages(space(), 0, kSpan);
  fill(space(), 0, 4);
  const Space child = fork();
  ASSERT_TRUE(unmap(space(), 0, kSpan));
  ASSERT_TRUE(map_pages(space(), 0, kSpan));
  EXPECT_EQ(peek(space(), 0), 0U);
  EXPECT_EQ(peek(child, 0), 1U);
}

// Rows: S0.32
TEST_P(Unmap, LeavesNoTableWithoutAMapping) {
  map("AA..BB");
  fill(space(), 0, 2);
  fill(space(), 4, 2);
  ASSERT_TRUE(unmap(space(), 0, 2));
  EXPECT_GT(space()->usage().tables.raw(), 1U);
  ASSERT_TRUE(unmap(space(), 4, 2));
  EXPECT_EQ(space()->usage().tables.raw(), 1U) << "only the root is left";
}

// Rows: S0.50 S0.51
TEST_F(TreeUnmap, CopiesOnlyTheTwoEdgeTables) {
  map_pages(space(), 0, kSpan * 4);
  for (std::uint64_t n = 0; n < 4; ++n)
    fill(space(), n * kSpan, 4), poke(space(), n * kSpan + 300, 1);
  Space child = fork();
  poke(child, 0, 1);  // exclusive down to level 2, so that only level 1 is in question
  ASSERT_TRUE(unmap(child, kSpan / 2, kSpan * 3));
  // [1 MiB, 7 MiB): the first table was copied by the write; the last one is copied now, two are
  // detached.
  EXPECT_EQ(copies(), 1U);
  EXPECT_EQ(child->usage().rss().raw(), 4U + 1U);
  EXPECT_EQ(space()->usage().rss().raw(), 20U);
}

// Rows: S0.52 S0.53 X11
TEST_F(TreeUnmap, CopiesNothingForAlignedSpans) {
  map_pages(space(), 0, kSpan * 4);
  for (std::uint64_t n = 0; n < 4; ++n) poke(space(), n * kSpan, 1);
  Space child = fork();
  poke(child, 0, 1);
  ASSERT_TRUE(unmap(child, kSpan, kSpan * 2));
  EXPECT_EQ(copies(), 0U);
  EXPECT_EQ(path(child, kSpan * 3).shares[2], 2U) << "the neighbour keeps its share";
}

// Rows: S0.50
TEST_F(TreeUnmap, DropsAnAlignedGigabyteByOneEntry) {
  map_pages(space(), 0, kGiB * 2);
  for (std::uint64_t n = 0; n < kGiB; n += kSpan * 8) poke(space(), n, 1);
  poke(space(), kGiB, 1);
  Space child = fork();
  const std::uint64_t detached = counter(Counter::kDetach);
  ASSERT_TRUE(unmap(child, 0, kGiB));
  EXPECT_EQ(counter(Counter::kDetach) - detached, 1U);
  EXPECT_LE(copies(), 1U) << "at most the table above";
  EXPECT_EQ(child->usage().rss().raw(), 1U);
}

// Rows: S0.53
TEST_F(TreeUnmap, WorksUpToTheTopOfUserSpace) {
  const VirtAddr top = machine_config_.geometry.user_top();
  MmapRequest request;
  request.address = top - PageCount(4).bytes();
  request.length = PageCount(4).bytes();
  request.prot = uapi::kProtRead | uapi::kProtWrite;
  request.flags = uapi::kMapPrivate | uapi::kMapAnonymous | uapi::kMapFixed;
  ASSERT_TRUE(space()->mmap(request));
  cpu().run(space());
  ASSERT_TRUE(cpu().store<std::uint64_t>(top - ByteCount(8), 5));
  const Space child = fork();
  ASSERT_TRUE(child->munmap(top - PageCount(2).bytes(), PageCount(2).bytes()));
  EXPECT_EQ(cpu().load<std::uint64_t>(top - ByteCount(8)).value_or(0), 5U);
}

// Rows: S0.54 S1.24
TEST_P(Unmap, ChangesNothingWhenATableForAnEdgeCannotBeHad) {
  map_pages(space(), 0, kSpan * 3);
  for (std::uint64_t n = 0; n < 3; ++n) fill(space(), n * kSpan, 3);
  Space child = fork();
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    memory().pool().fail_after(nth);
    const auto done = unmap(child, 1, kSpan * 2);
    const bool injected = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    if (!injected) {
      EXPECT_TRUE(done);
      break;
    }
    EXPECT_EQ(done.error(), Errno::kNoMem);
    EXPECT_EQ(child->usage().rss().raw(), 9U);
    expect_clean_audit();
    ++failures;
  }
  EXPECT_GE(failures, 1U);
  EXPECT_EQ(child->usage().rss().raw(), 1U + 2U);
  for (std::uint64_t n = 0; n < 3; ++n) EXPECT_EQ(peek(space(), n), n + 1);
}

// Rows: S0.54
TEST_F(TreeUnmap, ReportsWhatLinuxReports) {
  map("AAAA");
  EXPECT_EQ(space()->munmap(at(0) + ByteCount(1), ByteCount(kPageSize)).error(), Errno::kInval);
  EXPECT_EQ(space()->munmap(at(0), ByteCount(0)).error(), Errno::kInval);
  EXPECT_EQ(space()->munmap(at(0), ByteCount(~std::uint64_t{0})).error(), Errno::kInval);
  EXPECT_TRUE(space()->munmap(at(100), ByteCount(kPageSize))) << "nothing there is no error";
  EXPECT_TRUE(space()->munmap(at(0), ByteCount(1))) << "a length is rounded up";
  EXPECT_EQ(picture(space(), 4), ".AAA");
}

}  // namespace
}  // namespace quire::test
