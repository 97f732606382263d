// mprotect and madvise: pictures, rights through the hardware, and tables that others share.
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;
constexpr std::uint32_t kRead = uapi::kProtRead, kWrite = uapi::kProtWrite, kExec = uapi::kProtExec;

class Protect : public EveryMode {};
QUIRE_IN_EVERY_MODE(Protect);

// Rows: S4.34
TEST_P(Protect, SplitsAndMergesAsLinuxDoes) {
  map("AAAAAA");
  ASSERT_TRUE(protect(space(), 2, 2, kRead));
  EXPECT_EQ(picture(space(), 6), "AABBCC");
  EXPECT_EQ(draw_rights(*space(), base(), 6), "wwrrww");
  ASSERT_TRUE(protect(space(), 0, 2, kRead));
  EXPECT_EQ(picture(space(), 6), "AAAABB");
  ASSERT_TRUE(protect(space(), 2, 2, kRead | kWrite));
  EXPECT_EQ(picture(space(), 6), "AABBBB");
  ASSERT_TRUE(protect(space(), 0, 6, kRead | kExec));
  EXPECT_EQ(picture(space(), 6), "AAAAAA");
}

// Rows: S1.5 S2.34
TEST_P(Protect, TakesRightsAwayAtOnceAndGivesThemBack) {
  map("AAA");
  fill(space(), 0, 3);
  ASSERT_TRUE(protect(space(), 1, 1, kRead));
  EXPECT_EQ(outcome(space(), 1, Access::kWrite), FaultOutcome::kAccessError);
  EXPECT_EQ(peek(space(), 1), 2U);
  ASSERT_TRUE(protect(space(), 1, 1, 0));
  EXPECT_EQ(outcome(space(), 1, Access::kRead), FaultOutcome::kAccessError);
  EXPECT_EQ(draw_pages(*space(), base(), 3), "ana");
  EXPECT_EQ(space()->usage().rss_anon.raw(), 3U) << "an inaccessible page is still resident";
  ASSERT_TRUE(protect(space(), 1, 1, kRead | kWrite | kExec));
  EXPECT_EQ(peek(space(), 1), 2U);
  poke(space(), 1, 9);
  EXPECT_EQ(outcome(space(), 1, Access::kExecute), FaultOutcome::kMinor);
  EXPECT_EQ(outcome(space(), 0, Access::kExecute), FaultOutcome::kAccessError);
}

// Rows: S0.62 S1.5
TEST_P(Protect, ChangesNothingForTheOtherSharers) {
  map("AAAA");
  fill(space(), 0, 4);
  Space child = fork();
  ASSERT_TRUE(protect(child, 1, 2, 0));
  EXPECT_EQ(peek(space(), 1), 2U);
  poke(space(), 1, 20);
  ASSERT_TRUE(protect(child, 1, 2, kRead | kWrite));
  EXPECT_EQ(peek(child, 1), 2U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 4U);
}

// Rows: S1.24 S0.40
TEST_P(Protect, IsAllOrNothingOverManySharedTables) {
  map_pages(space(), 0, kSpan * 100);
  for (std::uint64_t n = 0; n < 100; ++n) poke(space(), n * kSpan, n);
  Space child = fork();
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; nth += 13) {
    memory().pool().fail_after(nth);
    const auto done = protect(child, 0, kSpan * 100, kRead);
    const bool injected = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    if (!injected) {
      EXPECT_TRUE(done);
      break;
    }
    EXPECT_EQ(done.error(), Errno::kNoMem);
    EXPECT_EQ(child->find(at(0))->prot, kProtReadWrite);
    ++failures;
  }
  EXPECT_GE(failures, 1U);
  EXPECT_EQ(outcome(child, kSpan * 99, Access::kWrite), FaultOutcome::kAccessError);
  poke(space(), 0, 1);
}

// Rows: S0.54
TEST_P(Protect, ReportsWhatLinuxReports) {
  map("AA.BB");
  EXPECT_EQ(space()->mprotect(at(0) + ByteCount(1), ByteCount(4096), kRead).error(), Errno::kInval);
  EXPECT_EQ(protect(space(), 0, 2, 0x40).error(), Errno::kInval);
  EXPECT_TRUE(protect(space(), 0, 0, kRead));
  EXPECT_EQ(protect(space(), 2, 1, kRead).error(), Errno::kNoMem);
  EXPECT_EQ(protect(space(), 0, 5, kRead).error(), Errno::kNoMem);
  EXPECT_EQ(draw_rights(*space(), base(), 5), "rr.ww") << "the part before the hole is changed";
}

class Advise : public EveryMode {};
QUIRE_IN_EVERY_MODE(Advise);

// Rows: S0.27 S0.31 S3.34
TEST_P(Advise, DontNeedGivesZerosToTheCallerOnly) {
  map_pages(space(), 0, kSpan * 2);
  fill(space(), 0, 4);
  fill(space(), kSpan, 4);
  Space child = fork();
  ASSERT_TRUE(advise(child, 1, kSpan, uapi::kMadvDontNeed));
  EXPECT_EQ(peek(child, 0), 1U);
  EXPECT_EQ(peek(child, 1), 0U);
  EXPECT_EQ(peek(child, kSpan), 0U);
  EXPECT_EQ(peek(child, kSpan + 1), kSpan + 2);
  for (std::uint64_t n = 0; n < 4; ++n) EXPECT_EQ(peek(space(), n), n + 1);
  EXPECT_EQ(child->usage().rss_anon.raw(), 4U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 8U);
}

// Rows: S4.38
TEST_P(Advise, DontNeedKeepsSharedContents) {
  map("SS", {.flags = uapi::kMapShared});
  poke(space(), 0, 5);
  ASSERT_TRUE(advise(space(), 0, 2, uapi::kMadvDontNeed));
  EXPECT_EQ(space()->usage().rss_shmem.raw(), 0U);
  EXPECT_EQ(peek(space(), 0), 5U);
}

// Rows: S0.16
TEST_P(Advise, SplitsMappingsByTheirForkFlags) {
  map("AAAAAA");
  ASSERT_TRUE(advise(space(), 1, 2, uapi::kMadvDontFork));
  EXPECT_EQ(picture(space(), 6), "ABBCCC");
  ASSERT_TRUE(advise(space(), 0, 6, uapi::kMadvDoFork));
  EXPECT_EQ(picture(space(), 6), "AAAAAA");
  ASSERT_TRUE(advise(space(), 4, 2, uapi::kMadvWipeOnFork));
  EXPECT_EQ(picture(space(), 6), "AAAABB");
}

// Rows: S0.54
TEST_P(Advise, ReportsWhatLinuxReports) {
  map("AA.SS", {.flags = uapi::kMapShared});
  EXPECT_EQ(advise(space(), 0, 1, 4711).error(), Errno::kInval);
  EXPECT_EQ(space()->madvise(at(0) + ByteCount(1), ByteCount(4096), uapi::kMadvDontNeed).error(),
            Errno::kInval);
  EXPECT_EQ(advise(space(), 0, 5, uapi::kMadvDontNeed).error(), Errno::kNoMem)
      << "a hole, but the rest is done";
  EXPECT_EQ(advise(space(), 0, 1, uapi::kMadvWipeOnFork).error(), Errno::kInval)
      << "only private memory can be wiped";
  EXPECT_TRUE(advise(space(), 0, 0, uapi::kMadvDontNeed));
}

}  // namespace
}  // namespace quire::test
