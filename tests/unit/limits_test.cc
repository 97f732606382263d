// Limits and figures: RLIMIT_AS, DATA, STACK, max_map_count, brk, and usage that is exact.
#include "support/fixture.h"

namespace quire::test {
namespace {

class Limited : public MachineTest {
 protected:
  void limit(Limits limits) { space()->set_limits(limits); }
  Result<VirtAddr> mmap(std::uint64_t pages, std::uint32_t prot = 3,
                        std::uint32_t flags = uapi::kMapPrivate) {
    MmapRequest request;
    request.length = PageCount(pages).bytes();
    request.prot = prot;
    request.flags = flags | uapi::kMapAnonymous;
    return space()->mmap(request);
  }
};

// Rows: S1.24
TEST_F(Limited, RefusesAddressSpaceBeyondRlimitAs) {
  limit({.address_space = PageCount(10).bytes()});
  EXPECT_TRUE(mmap(6));
  EXPECT_EQ(mmap(5).error(), Errno::kNoMem);
  EXPECT_TRUE(mmap(4));
  EXPECT_EQ(space()->usage().mapped.raw(), 10U);
}

// Rows: S1.24
TEST_F(Limited, CountsOnlyWritablePrivateMemoryAsData) {
  limit({.data = PageCount(4).bytes()});
  EXPECT_TRUE(mmap(100, uapi::kProtRead));
  EXPECT_TRUE(mmap(100, 3, uapi::kMapShared));
  EXPECT_EQ(mmap(5).error(), Errno::kNoMem);
  EXPECT_TRUE(mmap(4));
  EXPECT_EQ(space()->usage().data.raw(), 4U);
  const VirtAddr more = mmap(2, uapi::kProtRead).value();
  EXPECT_EQ(space()->mprotect(more, PageCount(2).bytes(), 3).error(), Errno::kNoMem);
}

// Rows: S1.24
TEST_F(Limited, StopsAStackAtRlimitStack) {
  limit({.stack = PageCount(8).bytes()});
  map_pages(space(), 100, 1, {.flags = uapi::kMapPrivate | uapi::kMapGrowsDown});
  EXPECT_EQ(outcome(space(), 93, Access::kWrite), FaultOutcome::kMinor);
  EXPECT_EQ(outcome(space(), 92, Access::kWrite), FaultOutcome::kMapError);
}

// Rows: S1.24 S0.54
TEST_F(Limited, RefusesSplitsBeyondTheLimitOfMappings) {
  map("AAAAAAAAA");
  limit({.max_map_count = 3});
  ASSERT_TRUE(unmap(space(), 1, 1));
  ASSERT_TRUE(unmap(space(), 3, 1));
  EXPECT_EQ(picture(space(), 9), "A.B.CCCCC");
  EXPECT_EQ(unmap(space(), 5, 1).error(), Errno::kNoMem);
  EXPECT_EQ(protect(space(), 5, 1, 1).error(), Errno::kNoMem);
  EXPECT_EQ(advise(space(), 5, 1, uapi::kMadvDontFork).error(), Errno::kAgain);
  EXPECT_TRUE(unmap(space(), 8, 1)) << "cutting an end splits nothing";
}

// Rows: S0.50
TEST_F(Limited, MovesTheBreakByLinuxsRules) {
  Layout layout;
  layout.brk_begin = at(10) + ByteCount(100);
  space()->set_layout(layout);
  EXPECT_EQ(space()->brk(VirtAddr(0)), layout.brk_begin);
  EXPECT_EQ(space()->brk(at(12)), at(12));
  EXPECT_EQ(draw(*space(), at(10), 4), ".A..");
  poke(space(), 11, 3);
  EXPECT_EQ(space()->brk(at(14) + ByteCount(1)), at(14) + ByteCount(1));
  EXPECT_EQ(draw(*space(), at(10), 6), ".AAAA.");
  EXPECT_EQ(space()->brk(at(12)), at(12));
  EXPECT_EQ(peek(space(), 11), 3U);
  EXPECT_EQ(space()->brk(at(5)), at(12)) << "below its beginning it does not go";
  map_pages(space(), 16, 1);
  EXPECT_EQ(space()->brk(at(16)), at(12)) << "a page stays free before the next mapping";
  EXPECT_EQ(space()->brk(at(15)), at(15));
  Limits limits;
  limits.data = PageCount(6).bytes();
  space()->set_limits(limits);
  EXPECT_EQ(space()->brk(at(20)), at(15));
}

// Rows: I10 S2.10
TEST_F(Limited, KeepsPeaks) {
  map("AAAA");
  fill(space(), 0, 4);
  EXPECT_EQ(space()->usage().rss_peak.raw(), 4U);
  ASSERT_TRUE(unmap(space(), 0, 3));
  EXPECT_EQ(space()->usage().rss().raw(), 1U);
  EXPECT_EQ(space()->usage().rss_peak.raw(), 4U);
  EXPECT_EQ(space()->usage().mapped_peak.raw(), 4U);
  EXPECT_EQ(space()->usage().mapped.raw(), 1U);
}

class Figures : public EveryMode {};
QUIRE_IN_EVERY_MODE(Figures);

// Rows: S0.49 S0.66 S2.6 S2.43
TEST_P(Figures, CloseTheBooksOfTables) {
  map_pages(space(), 0, 2048);
  fill(space(), 0, 20);
  fill(space(), 512, 20);
  fill(space(), 1024, 20);
  for (int round = 0; round < 20; ++round) {
    Space child = fork();
    poke(child, 3, 1);
    ASSERT_TRUE(unmap(child, 500, 20));
    ASSERT_TRUE(protect(child, 1030, 5, 1));
    ASSERT_TRUE(advise(child, 5, 2, uapi::kMadvDontNeed));
    poke(space(), 513, 2);
    cpu().run(space());
  }
  EXPECT_EQ(counter(Counter::kTableAlloc) - counter(Counter::kTableFree),
            memory().tables_in_use().raw());
  EXPECT_EQ(memory().tables_in_use().raw(), space()->usage().tables.raw());
  EXPECT_GT(counter(Counter::kFork), 0U);
  if (GetParam() == ForkMode::kTree) {
    EXPECT_GT(counter(Counter::kUnshareFault), 0U);
    EXPECT_GT(counter(Counter::kUnshareMunmap) + counter(Counter::kUnshareMprotect), 0U);
    EXPECT_EQ(counter(Counter::kCopyFork), 0U);
  } else {
    EXPECT_GT(counter(Counter::kCopyFork), 0U);
  }
}

// Rows: S0.57
TEST_P(Figures, AreTheSameWhenThePolicyChangesOnTheWay) {
  map("AAAA");
  fill(space(), 0, 4);
  std::vector<Space> family;
  for (const ForkMode mode : {ForkMode::kTree, ForkMode::kCopy, ForkMode::kLeaf, GetParam()}) {
    space()->set_fork_mode(mode);
    family.push_back(fork());
    EXPECT_EQ(family.back()->fork_mode(), mode) << "the policy is inherited";
  }
  for (std::size_t n = 0; n < family.size(); ++n) poke(family[n], n, 100 + n);
  for (std::size_t n = 0; n < family.size(); ++n) {
    EXPECT_EQ(peek(family[n], n), 100 + n);
    EXPECT_EQ(peek(family[n], (n + 1) % 4), (n + 1) % 4 + 1);
    EXPECT_EQ(family[n]->usage().rss_anon.raw(), 4U);
  }
}

}  // namespace
}  // namespace quire::test
