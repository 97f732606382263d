// mremap: whole tables by pointer, single leaves, in place; what Linux answers is in linux_test.cc and the conformance programs.
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class Remap : public EveryMode {
 protected:
  Result<VirtAddr> move(Space& where, std::uint64_t first, std::uint64_t pages, std::uint64_t to, std::uint64_t new_pages,
                        std::uint32_t flags = uapi::kMremapMayMove | uapi::kMremapFixed) {
    return where->mremap({.old_address = at(first),
                          .old_length = PageCount(pages).bytes(),
                          .new_length = PageCount(new_pages).bytes(),
                          .flags = flags,
                          .new_address = at(to)});
  }
  Result<VirtAddr> move(std::uint64_t first, std::uint64_t pages, std::uint64_t to) { return move(space(), first, pages, to, pages); }
  Result<VirtAddr> resize(std::uint64_t first, std::uint64_t pages, std::uint64_t new_pages, std::uint32_t flags = 0) {
    return move(space(), first, pages, 0, new_pages, flags);
  }
};
QUIRE_IN_EVERY_MODE(Remap);

// Rows: S0.61
TEST_P(Remap, MovesLeavesThatLieDifferently) {
  map("AAAA");
  fill(space(), 0, 4);
  ASSERT_EQ(move(1, 2, 9), at(9));
  EXPECT_EQ(peek(space(), 9), 2U);
  EXPECT_EQ(peek(space(), 10), 3U);
  EXPECT_EQ(outcome(space(), 1, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(peek(space(), 3), 4U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 4U);
  EXPECT_EQ(counter(Counter::kMoveTable), 0U);
}

// Rows: S0.61
TEST_P(Remap, MovesWholeTablesByTheirPointer) {
  map_pages(space(), 0, 2 * kSpan);
  fill(space(), 0, 2 * kSpan);
  const std::uint64_t made = counter(Counter::kTableAlloc);
  ASSERT_TRUE(move(0, 2 * kSpan, 8 * kSpan));
  EXPECT_EQ(counter(Counter::kMoveTable), 2U);
  EXPECT_EQ(counter(Counter::kTableAlloc), made);
  for (std::uint64_t n = 0; n < 2 * kSpan; n += 100) EXPECT_EQ(peek(space(), 8 * kSpan + n), n + 1);
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kMapError);
}

// Rows: S0.61 I2 X11
TEST_P(Remap, MovesTablesThatAreSharedAndLeavesThemWithTheOthers) {
  map_pages(space(), 0, 2 * kSpan);
  fill(space(), 0, 2 * kSpan);
  Space child = fork();
  ASSERT_TRUE(move(0, kSpan, 8 * kSpan));
  poke(space(), 8 * kSpan, 77);
  EXPECT_EQ(peek(child, 0), 1U);
  EXPECT_EQ(peek(space(), 8 * kSpan), 77U);
  EXPECT_EQ(peek(space(), 8 * kSpan + 5), 6U);
  EXPECT_EQ(peek(space(), kSpan), kSpan + 1);
  EXPECT_EQ(outcome(child, 8 * kSpan, Access::kRead), FaultOutcome::kMapError);
  poke(child, 1, 78);
  EXPECT_EQ(peek(space(), 8 * kSpan + 1), 2U);
}

// Rows: S0.61 I2
TEST_P(Remap, TakesSingleLeavesOutOfSharedTables) {
  map_pages(space(), 0, 3 * kSpan);
  fill(space(), 0, 3 * kSpan);
  const Space child = fork();
  ASSERT_TRUE(move(kSpan - 3, kSpan + 6, 8 * kSpan + 7));
  for (std::uint64_t n = 0; n < kSpan + 6; n += 37) EXPECT_EQ(peek(space(), 8 * kSpan + 7 + n), kSpan - 3 + n + 1);
  for (std::uint64_t n = 0; n < 3 * kSpan; n += 37) EXPECT_EQ(peek(child, n), n + 1);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 3 * kSpan);
}

// Rows: S0.11
// A fork always begins with an empty tree of its child's, so copies meet a slot that holds another table only here.
TEST_P(Remap, CopiesEntriesIntoATableThatTheSlotHoldsAlready) {
  map_pages(space(), 0, 500);
  fill(space(), 0, 500);
  map_pages(space(), 8 * kSpan + 500, 12);
  fill(space(), 8 * kSpan + 500, 12);
  const Space child = fork();  // both tables are shared in mode tree and leaf
  const std::uint64_t rss = space()->usage().rss_anon.raw();
  ASSERT_TRUE(move(0, 500, 8 * kSpan));
  EXPECT_EQ(counter(Counter::kMoveTable), 0U);
  for (std::uint64_t n = 0; n < 500; ++n) ASSERT_EQ(peek(space(), 8 * kSpan + n), n + 1);
  for (std::uint64_t n = 8 * kSpan + 500; n < 9 * kSpan; ++n) ASSERT_EQ(peek(space(), n), n + 1) << "was there before";
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(space()->usage().rss_anon.raw(), rss);
  poke(space(), 8 * kSpan, 77);
  poke(space(), 8 * kSpan + 500, 78);
  EXPECT_EQ(peek(child, 0), 1U);
  EXPECT_EQ(peek(child, 8 * kSpan + 500), 8 * kSpan + 501);
  EXPECT_EQ(outcome(child, 8 * kSpan, Access::kRead), FaultOutcome::kMapError);
}

// Rows: S0.61
TEST_P(Remap, GrowsInPlaceWhereThereIsRoom) {
  map("AA...B");
  fill(space(), 0, 2);
  EXPECT_EQ(resize(0, 2, 5), at(0));
  poke(space(), 4, 9);
  EXPECT_EQ(resize(0, 5, 6).error(), Errno::kNoMem);
  EXPECT_EQ(peek(space(), 1), 2U);
}

// Rows: S0.61
TEST_P(Remap, ShrinksAndMovesWhatIsLeft) {
  map("AAAAAA");
  fill(space(), 0, 6);
  EXPECT_EQ(resize(0, 6, 4), at(0));
  EXPECT_EQ(picture(space(), 6), "AAAA..");
  ASSERT_TRUE(move(space(), 0, 4, 10, 2));
  EXPECT_EQ(picture(space(), 12), "..........AA");
  EXPECT_EQ(peek(space(), 11), 2U);
}

// Rows: S0.61
TEST_P(Remap, GrowsElsewhereIfItMay) {
  map("AAB");
  fill(space(), 0, 3);
  const auto moved = resize(0, 2, 4, uapi::kMremapMayMove);
  ASSERT_TRUE(moved);
  EXPECT_NE(*moved, at(0));
  EXPECT_EQ(cpu().load<std::uint64_t>(*moved + ByteCount(kPageSize)).value_or(0), 2U);
  EXPECT_EQ(space()->usage().mapped.raw(), 5U);
}

// Rows: S0.61
TEST_P(Remap, KeepsTheOldPlaceEmptyIfAsked) {
  map("AAA");
  fill(space(), 0, 3);
  ASSERT_TRUE(move(space(), 0, 3, 9, 3, uapi::kMremapMayMove | uapi::kMremapFixed | uapi::kMremapDontUnmap));
  EXPECT_EQ(peek(space(), 10), 2U);
  EXPECT_EQ(peek(space(), 1), 0U);
  EXPECT_EQ(space()->usage().mapped.raw(), 6U);
}

// Rows: S0.61 S4.38
TEST_P(Remap, GivesSharedMemoryASecondMapping) {
  map("AA", {.flags = uapi::kMapShared});
  fill(space(), 0, 2);
  ASSERT_TRUE(move(space(), 0, 0, 9, 2));
  EXPECT_EQ(peek(space(), 10), 2U);
  poke(space(), 10, 50);
  EXPECT_EQ(peek(space(), 1), 50U);
  map("....A");
  EXPECT_EQ(move(space(), 4, 0, 20, 1).error(), Errno::kInval);
  // In place of the first: that is gone before it can be had twice.
  EXPECT_EQ(move(space(), 0, 0, 0, 1).error(), Errno::kFault);
}

// Rows: S0.61
TEST_P(Remap, ReplacesWhatLiesAtTheTarget) {
  map("AA...BB");
  fill(space(), 0, 2);
  fill(space(), 5, 2);
  ASSERT_TRUE(move(0, 2, 5));
  EXPECT_EQ(peek(space(), 5), 1U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 2U);
}

// Rows: S0.61
TEST_P(Remap, RefusesWhatLinuxRefuses) {
  map("AAAA.B");
  const std::uint32_t fixed = uapi::kMremapMayMove | uapi::kMremapFixed;
  EXPECT_EQ(move(space(), 0, 2, 9, 2, 64).error(), Errno::kInval);
  EXPECT_EQ(move(space(), 0, 2, 9, 2, uapi::kMremapFixed).error(), Errno::kInval);
  EXPECT_EQ(move(space(), 0, 2, 9, 3, uapi::kMremapMayMove | uapi::kMremapDontUnmap).error(), Errno::kInval);
  EXPECT_EQ(move(space(), 0, 2, 9, 0, fixed).error(), Errno::kInval);
  EXPECT_EQ(move(space(), 0, 3, 2, 3, fixed).error(), Errno::kInval);   // they overlap
  EXPECT_EQ(move(space(), 4, 1, 9, 1, fixed).error(), Errno::kFault);   // nothing there
  EXPECT_EQ(move(space(), 3, 3, 9, 4, fixed).error(), Errno::kFault);   // over a hole
  EXPECT_EQ(space()->mremap({.old_address = at(0) + ByteCount(1), .old_length = ByteCount(1), .new_length = ByteCount(1)}).error(),
            Errno::kInval);
}

// Rows: I6
TEST_P(Remap, LeavesNoTableBehind) {
  map_pages(space(), 0, 1);
  fill(space(), 0, 1);
  const PageCount tables = space()->usage().tables;
  ASSERT_TRUE(move(0, 1, 4 * kSpan + 5));
  EXPECT_EQ(space()->usage().tables, tables);
}

// Rows: I12
TEST_P(Remap, ChangesNothingWithoutFrames) {
  map_pages(space(), 0, 2 * kSpan);
  fill(space(), 0, 2 * kSpan);
  const Space child = fork();
  memory().pool().fail_after(1);
  EXPECT_EQ(move(3, kSpan, 8 * kSpan).error(), Errno::kNoMem);
  memory().pool().fail_after(0);
  EXPECT_EQ(peek(space(), 3), 4U);
  EXPECT_EQ(outcome(space(), 8 * kSpan, Access::kRead), FaultOutcome::kMapError);
}

class Lock : public EveryMode {};
QUIRE_IN_EVERY_MODE(Lock);

TEST_P(Lock, FaultsInWhatItLocks) {
  map("AAAA");
  ASSERT_TRUE(space()->mlock(at(1), PageCount(2).bytes(), LockWhen::kNow));
  EXPECT_EQ(space()->usage().rss_anon.raw(), 2U);
  EXPECT_EQ(space()->usage().locked.raw(), 2U);
  EXPECT_EQ(picture(space(), 4), "ABBC");
  EXPECT_EQ(advise(space(), 0, 4, uapi::kMadvDontNeed).error(), Errno::kInval);
  ASSERT_TRUE(advise(space(), 0, 4, uapi::kMadvDontNeedLocked));
  ASSERT_TRUE(space()->munlock(at(0), PageCount(4).bytes()));
  EXPECT_EQ(space()->usage().locked.raw(), 0U);
  EXPECT_EQ(picture(space(), 4), "AAAA");
}

TEST_P(Lock, IsNotInherited) {
  map("AB");
  ASSERT_TRUE(space()->mlock(at(0), PageCount(2).bytes(), LockWhen::kNow));
  const Space child = fork();
  EXPECT_EQ(child->usage().locked.raw(), 0U);
  EXPECT_EQ(child->usage().rss_anon.raw(), 2U);
  EXPECT_EQ(space()->usage().locked.raw(), 2U);
}

TEST_P(Lock, KeepsToItsLimit) {
  map("AAAA");
  Limits limits = space()->limits();
  limits.locked = PageCount(2).bytes();
  space()->set_limits(limits);
  EXPECT_EQ(space()->mlock(at(0), PageCount(3).bytes(), LockWhen::kNow).error(), Errno::kNoMem);
  ASSERT_TRUE(space()->mlock(at(0), PageCount(2).bytes(), LockWhen::kNow));
  ASSERT_TRUE(space()->mlock(at(1), PageCount(1).bytes(), LockWhen::kNow));  // is locked already
  EXPECT_EQ(space()->mlock(at(1), PageCount(2).bytes(), LockWhen::kNow).error(), Errno::kNoMem);
  limits.locked = ByteCount(0);
  space()->set_limits(limits);
  EXPECT_EQ(space()->mlock(at(0), PageCount(1).bytes(), LockWhen::kNow).error(), Errno::kPerm);
}

TEST_P(Lock, WaitsForTheFirstTouchIfAsked) {
  map("AA");
  ASSERT_TRUE(space()->mlock(at(0), PageCount(2).bytes(), LockWhen::kOnFault));
  EXPECT_EQ(space()->usage().rss().raw(), 0U);
  EXPECT_EQ(space()->usage().locked.raw(), 2U);
}

TEST_P(Lock, TellsOfHolesAfterLockingWhatLiesBefore) {
  map("A.A");
  EXPECT_EQ(space()->mlock(at(0), PageCount(3).bytes(), LockWhen::kNow).error(), Errno::kNoMem);
  EXPECT_EQ(space()->usage().locked.raw(), 1U);
}

TEST_P(Lock, HoldsForMappingsToCome) {
  map("A");
  EXPECT_EQ(space()->mlockall(0).error(), Errno::kInval);
  EXPECT_EQ(space()->mlockall(uapi::kMclOnFault).error(), Errno::kInval);
  ASSERT_TRUE(space()->mlockall(uapi::kMclCurrent | uapi::kMclFuture));
  EXPECT_EQ(space()->usage().rss_anon.raw(), 1U);
  map(".B");
  EXPECT_EQ(space()->usage().locked.raw(), 2U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 2U);
  ASSERT_TRUE(space()->munlockall());
  EXPECT_EQ(space()->usage().locked.raw(), 0U);
}

class Residency : public EveryMode {
 protected:
  std::string resident(std::uint64_t pages) {
    std::vector<std::uint8_t> bytes(pages);
    const Result<PageCount> told = space()->mincore(base(), bytes);
    if (!told) return "error " + std::to_string(static_cast<int>(told.error()));
    std::string text;
    for (std::uint64_t n = 0; n < told->raw(); ++n) text += static_cast<char>('0' + bytes[n]);
    return text;
  }
};
QUIRE_IN_EVERY_MODE(Residency);

TEST_P(Residency, IsToldPageByPage) {
  map("AAAA");
  poke(space(), 1, 1);
  static_cast<void>(peek(space(), 3));
  EXPECT_EQ(resident(4), "0101");
  const Space child = fork();
  EXPECT_EQ(resident(4), "0101");
  ASSERT_TRUE(advise(space(), 1, 1, uapi::kMadvDontNeed));
  EXPECT_EQ(resident(4), "0001");
  EXPECT_EQ(resident(5), "0001");
}

TEST_P(Residency, OfSharedMemoryIsTheObjects) {
  map("AA", {.flags = uapi::kMapShared});
  poke(space(), 1, 1);
  ASSERT_TRUE(advise(space(), 0, 2, uapi::kMadvDontNeed));
  EXPECT_EQ(resident(2), "01");
}

TEST_P(Residency, MsyncKnowsHolesAndLocks) {
  map("A.A");
  const auto sync = [&](std::uint64_t pages, std::uint32_t flags) {
    const Result<void> result = space()->msync(base(), PageCount(pages).bytes(), flags);
    return result ? 0 : static_cast<int>(result.error());
  };
  EXPECT_EQ(sync(1, uapi::kMsSync), 0);
  EXPECT_EQ(sync(3, uapi::kMsSync), static_cast<int>(Errno::kNoMem));
  EXPECT_EQ(sync(1, uapi::kMsSync | uapi::kMsAsync), static_cast<int>(Errno::kInval));
  EXPECT_EQ(sync(1, 8), static_cast<int>(Errno::kInval));
  ASSERT_TRUE(space()->mlock(at(0), PageCount(1).bytes(), LockWhen::kNow));
  EXPECT_EQ(sync(1, uapi::kMsInvalidate), static_cast<int>(Errno::kBusy));
}

}  // namespace
}  // namespace quire::test
