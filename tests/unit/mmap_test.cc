// mmap: errors, placement, replacement and merging by Linux's rules.
#include "support/fixture.h"

namespace quire::test {
namespace {

class Mmap : public MachineTest {
 protected:
  Result<VirtAddr> mmap(VirtAddr hint, std::uint64_t bytes, std::uint32_t flags,
                        std::uint32_t prot = 3) {
    MmapRequest request;
    request.address = hint;
    request.length = ByteCount(bytes);
    request.prot = prot;
    request.flags = flags | uapi::kMapAnonymous;
    return space()->mmap(request);
  }
};

// Rows: S2.16
TEST_F(Mmap, ReportsWhatLinuxReports) {
  const VirtAddr top = machine_config_.geometry.user_top();
  EXPECT_EQ(mmap(at(0), 0, uapi::kMapPrivate).error(), Errno::kInval);
  EXPECT_EQ(mmap(at(0), ~std::uint64_t{0}, uapi::kMapPrivate).error(), Errno::kNoMem);
  EXPECT_EQ(mmap(at(0), 4096, 0).error(), Errno::kInval) << "neither shared nor private";
  EXPECT_EQ(mmap(at(0), 4096, uapi::kMapShared | uapi::kMapGrowsDown).error(), Errno::kInval);
  EXPECT_EQ(mmap(at(0) + ByteCount(1), 4096, uapi::kMapPrivate | uapi::kMapFixed).error(),
            Errno::kInval);
  EXPECT_EQ(mmap(VirtAddr(0), 4096, uapi::kMapPrivate | uapi::kMapFixed).error(), Errno::kPerm);
  EXPECT_EQ(mmap(top, 4096, uapi::kMapPrivate | uapi::kMapFixed).error(), Errno::kNoMem);
  map("A");
  EXPECT_EQ(mmap(at(0), 4096, uapi::kMapPrivate | uapi::kMapFixedNoReplace).error(), Errno::kExist);
}

// Rows: S2.16
TEST_F(Mmap, PlacesDownwardFromTheTopAndHonoursHints) {
  const VirtAddr first = mmap(VirtAddr(0), 4096, uapi::kMapPrivate).value();
  const VirtAddr second = mmap(VirtAddr(0), 8192, uapi::kMapPrivate, 1).value();
  EXPECT_EQ(second + ByteCount(8192), first);
  EXPECT_EQ(mmap(at(5) + ByteCount(123), 4096, uapi::kMapPrivate).value(), at(5))
      << "a hint is rounded down to a page";
  const VirtAddr elsewhere = mmap(at(5), 4096, uapi::kMapPrivate, 1).value();
  EXPECT_EQ(elsewhere + ByteCount(4096), second) << "a taken hint is no hint";
}

// Rows: S2.16
TEST_F(Mmap, FillsTheHighestGapThatIsLargeEnough) {
  const VirtAddr block = mmap(VirtAddr(0), 16 * 4096, uapi::kMapPrivate).value();
  ASSERT_TRUE(space()->munmap(block + ByteCount(2 * 4096), ByteCount(4096)));
  ASSERT_TRUE(space()->munmap(block + ByteCount(8 * 4096), ByteCount(2 * 4096)));
  EXPECT_EQ(mmap(VirtAddr(0), 4096, uapi::kMapPrivate, 1).value(), block + ByteCount(9 * 4096));
  EXPECT_EQ(mmap(VirtAddr(0), 4096, uapi::kMapPrivate, 1).value(), block + ByteCount(8 * 4096));
  EXPECT_EQ(mmap(VirtAddr(0), 4096, uapi::kMapPrivate, 1).value(), block + ByteCount(2 * 4096));
}

// Rows: S2.16
TEST_F(Mmap, Searches32BitPlacesUpward) {
  const VirtAddr low = mmap(VirtAddr(0), 4096, uapi::kMapPrivate | uapi::kMap32Bit).value();
  EXPECT_EQ(low.raw(), 0x40000000U);
  EXPECT_EQ(mmap(VirtAddr(0), 4096, uapi::kMapPrivate | uapi::kMap32Bit).value().raw(),
            0x40001000U);
}

// Rows: S4.34
TEST_F(Mmap, FillingAGapMergesBothNeighbours) {
  map("AAA.BB.......");
  EXPECT_EQ(picture(space(), 13), "AAA.BB.......");
  map("...A.........");
  EXPECT_EQ(picture(space(), 13), "AAAAAA.......");
}

// Rows: S4.34
TEST_F(Mmap, DoesNotMergeOtherRightsKindsOrObjects) {
  map("AA........");
  map("..BB......", {.prot = uapi::kProtRead});
  map("....CC....", {.flags = uapi::kMapShared});
  map("......DD..", {.flags = uapi::kMapShared});
  map("........EE", {.flags = uapi::kMapPrivate | uapi::kMapNoReserve});
  EXPECT_EQ(picture(space(), 10), "AABBCCDDEE");
  map("..AA......");
  EXPECT_EQ(picture(space(), 10), "AAAABBCCDD");
}

// Rows: S0.7
TEST_F(Mmap, ReplacesWhatLiesUnderAFixedMapping) {
  map("AAAAAA");
  fill(space(), 0, 6);
  map("..BB..", {.prot = uapi::kProtRead});
  EXPECT_EQ(picture(space(), 6), "AABBCC");
  EXPECT_EQ(peek(space(), 2), 0U);
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_EQ(peek(space(), 4), 5U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 4U);
}

// Rows: S1.24 S0.40
TEST_F(Mmap, KeepsTheOldMappingWhenTheNewOneCannotBeMade) {
  map("AAAAAA");
  fill(space(), 0, 6);
  const Space child = fork();
  for (std::uint64_t nth = 1;; ++nth) {
    memory().pool().fail_after(nth);
    const auto made = mmap(at(2), 2 * 4096, uapi::kMapPrivate | uapi::kMapFixed, 1);
    const bool injected = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    if (!injected) break;
    EXPECT_EQ(made.error(), Errno::kNoMem);
    EXPECT_EQ(picture(space(), 6), "AAAAAA");
    EXPECT_EQ(peek(space(), 3), 4U);
  }
  EXPECT_EQ(picture(space(), 6), "AABBCC");
}

// Rows: S2.16
TEST_F(Mmap, PopulatesWhenAsked) {
  ASSERT_TRUE(mmap(at(0), 4 * 4096, uapi::kMapPrivate | uapi::kMapPopulate | uapi::kMapFixed));
  EXPECT_EQ(draw_pages(*space(), base(), 5), "aaaa.");
  ASSERT_TRUE(mmap(at(8), 4096, uapi::kMapShared | uapi::kMapPopulate | uapi::kMapFixed));
  EXPECT_EQ(space()->usage().rss_shmem.raw(), 1U);
}

// Rows: S0.53
TEST_F(Mmap, GrowsAStackDownToItsGuardGap) {
  ASSERT_TRUE(mmap(at(2000), 4096, uapi::kMapPrivate | uapi::kMapGrowsDown | uapi::kMapFixed));
  cpu().run(space());
  EXPECT_TRUE(cpu().store<std::uint64_t>(at(1500), 1));
  EXPECT_EQ(space()->find(at(1500))->range.begin(), at(1500));
  EXPECT_TRUE(map_pages(space(), 1000, 10));
  // 256 pages stay free above the mapping below: page 1266 is the lowest that may be had.
  EXPECT_EQ(outcome(space(), 1265, Access::kWrite), FaultOutcome::kMapError);
  EXPECT_EQ(outcome(space(), 1266, Access::kWrite), FaultOutcome::kMinor);
  // And what is placed keeps away from the stack.
  EXPECT_NE(mmap(at(1100), 4096, uapi::kMapPrivate).value(), at(1100));
  EXPECT_EQ(space()->usage().stack.raw(), 2001U - 1266U);
}

}  // namespace
}  // namespace quire::test
