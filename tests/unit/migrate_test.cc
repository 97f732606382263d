// Pages move to other frames under the processes that use them.
#include "quire/rmap/migrate.h"

#include "quire/rmap/compact.h"

#include <random>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class Migrate : public EveryMode {
 protected:
  [[nodiscard]] Pfn pfn_of(const Space& where, std::uint64_t page) {
    return path_to(*where, at(page)).leaf;
  }
  void move(const Space& where, std::uint64_t page) {
    const Pfn old = pfn_of(where, page);
    const auto to = migrate_frame(memory(), old);
    ASSERT_TRUE(to.has_value()) << "errno " << static_cast<int>(to.error());
    EXPECT_EQ(pfn_of(where, page), *to);
    EXPECT_NE(*to, old);
    expect_clean_audit();
  }
};
QUIRE_IN_EVERY_MODE(Migrate);

// Rows: S1.6 S0.63
TEST_P(Migrate, KeepsContentsRightsAndAccounts) {
  map("AAA");
  fill(space(), 0, 3);
  const std::uint64_t rss = space()->usage().rss().raw();
  move(space(), 1);
  EXPECT_EQ(peek(space(), 1), 2U);
  const std::uint64_t faults = counter(Counter::kFaultMinor);
  poke(space(), 1, 77);
  EXPECT_EQ(counter(Counter::kFaultMinor), faults) << "the page is as writable as it was";
  EXPECT_EQ(peek(space(), 1), 77U);
  EXPECT_EQ(space()->usage().rss().raw(), rss);
}

// Rows: R14 S1.6 S2.24 S4.37
TEST_P(Migrate, IsSeenByAllWhoShareTheTableRunningOrNot) {
  map("AAA");
  map("...SS", {.flags = uapi::kMapShared});
  fill(space(), 0, 5);
  std::vector<Space> children;
  std::vector<Cpu*> cpus;
  for (int n = 0; n < 4; ++n) {
    children.push_back(fork());
    Cpu& one = new_cpu();
    one.run(children.back());
    for (std::uint64_t page = 0; page < 5; ++page) {
      EXPECT_EQ(one.load<std::uint64_t>(at(page)).value_or(0), page + 1);
    }
    if (n == 1) poke(children.back(), 1, 9);
    if (n == 2) one.run(space());  // its translations stay behind, tagged
    if (n == 3) one.idle();
    cpus.push_back(&one);
  }
  for (std::uint64_t page = 0; page < 5; ++page) move(space(), page);
  for (std::size_t n = 0; n < children.size(); ++n) {
    cpus[n]->run(children[n]);
    for (std::uint64_t page = 0; page < 5; ++page) {
      const std::uint64_t stored = page == 3 && n != 0 ? 100 + n - 1 : page + 1;
      const std::uint64_t expected = n == 1 && page == 1 ? 9 : stored;
      EXPECT_EQ(cpus[n]->load<std::uint64_t>(at(page)).value_or(0), expected);
    }
    ASSERT_TRUE(cpus[n]->store<std::uint64_t>(at(3), 100 + n));
    EXPECT_EQ(peek(space(), 3), 100 + n);
  }
  for (Cpu* const each : cpus) each->stop();
}

// Rows: S1.6
TEST_P(Migrate, WritesNoTableButTheOnesThatNameThePage) {
  map_pages(space(), 0, kSpan * 2);
  fill(space(), 0, 3);
  poke(space(), kSpan, 5);
  Space child = fork();
  const std::uint64_t tables = counter(Counter::kTableAlloc);
  const std::uint64_t visits = counter(Counter::kRmapVisit);
  move(space(), 0);
  EXPECT_EQ(counter(Counter::kTableAlloc), tables) << "no table is copied";
  const unsigned lookups = 2;
  EXPECT_EQ(counter(Counter::kRmapVisit) - visits,
            lookups * (GetParam() == ForkMode::kCopy ? 2U : 1U));
  EXPECT_EQ(peek(child, 0), 1U);
}

// Rows: S4.32 I12
TEST_P(Migrate, LeavesAloneWhatSomebodyElseHolds) {
  map("A");
  map(".S", {.flags = uapi::kMapShared});
  fill(space(), 0, 2);
  const Space child = fork();
  for (const std::uint64_t page : {0U, 1U}) {
    Frame& frame = memory().frame(pfn_of(space(), page));
    frame.get();
    const auto moved = migrate_frame(memory(), memory().pfn_of(frame));
    ASSERT_FALSE(moved.has_value());
    EXPECT_EQ(moved.error(), Errno::kBusy);
    EXPECT_EQ(pfn_of(space(), page), memory().pfn_of(frame));
    static_cast<void>(frame.put());
    expect_clean_audit();
    move(space(), page);
  }
}

TEST_P(Migrate, RefusesWhatIsNoPage) {
  map("AA");
  EXPECT_EQ(peek(space(), 1), 0U);
  EXPECT_EQ(migrate_frame(memory(), memory().zero().frame()).error(), Errno::kInval);
  Frame* const held = memory().pool().take_or_null(FrameUse::kUser);
  ASSERT_NE(held, nullptr);
  held->counts.store(Frame::kOneReference);
  EXPECT_EQ(migrate_frame(memory(), memory().pfn_of(*held)).error(), Errno::kInval) << "held, but no page";
  held->counts.store(0);
  memory().pool().give(held);
  EXPECT_EQ(migrate_frame(memory(), space()->tlb().root).error(), Errno::kInval);
  EXPECT_EQ(migrate_frame(memory(), Pfn(~std::uint64_t{0} >> 20)).error(), Errno::kInval);
}

TEST_P(Migrate, ChangesNothingWithoutAFrame) {
  map("A");
  fill(space(), 0, 1);
  const Pfn old = pfn_of(space(), 0);
  memory().pool().fail_after(1);
  const auto moved = migrate_frame(memory(), old);
  memory().pool().fail_after(0);
  EXPECT_EQ(moved.error(), Errno::kNoMem);
  EXPECT_EQ(pfn_of(space(), 0), old);
}

class Compact : public Migrate {
 protected:
  /// Free frames below the highest page: what compaction leaves.
  [[nodiscard]] std::uint64_t free_below_pages() {
    std::uint64_t free = 0, below = 0;
    for (std::uint64_t pfn = 1; pfn < memory().pool().touched_end().raw(); ++pfn) {
      const Frame& frame = memory().frame(Pfn(pfn));
      if (frame.kind == FrameKind::kFree) ++free;
      if (frame.is_page()) below = free;
    }
    return below;
  }
};
QUIRE_IN_EVERY_MODE(Compact);

TEST_P(Compact, BringsWhatIsFreeTogether) {
  constexpr std::uint64_t kPages = 3000;
  map_pages(space(), 0, kPages);
  fill(space(), 0, kPages);
  Space child = fork();
  poke(child, 0, 7);
  for (std::uint64_t page = 0; page < kPages; page += 2) {
    ASSERT_TRUE(advise(space(), page, 1, uapi::kMadvDontNeed));
    ASSERT_TRUE(advise(child, page, 1, uapi::kMadvDontNeed));
  }
  const std::uint64_t in_use = machine().frames_in_use().raw();
  Frame& held = memory().frame(pfn_of(space(), kPages - 1));
  ASSERT_TRUE(held.try_get());
  const Compacted result = compact(memory());
  EXPECT_GT(result.moved, kPages / 5);
  EXPECT_EQ(pfn_of(space(), kPages - 1), memory().pfn_of(held)) << "a page that is held stays";
  static_cast<void>(held.put());
  expect_clean_audit();
  EXPECT_EQ(machine().frames_in_use().raw(), in_use);
  EXPECT_GT(free_below_pages(), kPages / 5) << "below the page that was held";
  compact(memory());
  EXPECT_LE(free_below_pages(), 1U);
  EXPECT_GE(memory().pool().longest_free_run(), memory().pool().untouched_frames());
  for (std::uint64_t page = 1; page < kPages; page += 2) {
    EXPECT_EQ(peek(space(), page), page + 1);
    EXPECT_EQ(peek(child, page), page + 1);
  }
  EXPECT_EQ(peek(child, 0), 0U);
}

TEST_P(Compact, FindsNothingToDoInPackedMemory) {
  map("AAAA");
  fill(space(), 0, 4);
  compact(memory());
  const Compacted again = compact(memory());
  EXPECT_EQ(again.moved, 0U);
}

// Rows: S2.20 S4.3
TEST_P(Migrate, GoesOnAmongRandomOperationsWithoutATrace) {
  constexpr unsigned kPages = 24, kRounds = 3000;
  map_pages(space(), 0, kPages);
  std::vector<Space> spaces;
  std::vector<std::vector<std::uint64_t>> expected;
  spaces.push_back(space().share());
  expected.emplace_back(kPages, 0);
  std::minstd_rand random(7);
  for (unsigned round = 0; round < kRounds; ++round) {
    const std::size_t who = random() % spaces.size();
    const std::uint64_t page = random() % kPages;
    switch (random() % 8) {
      case 0:
        if (spaces.size() < 6) {
          spaces.push_back(fork(spaces[who]));
          expected.push_back(expected[who]);
        } else if (who != 0) {
          cpu().stop();
          spaces.erase(spaces.begin() + static_cast<std::ptrdiff_t>(who));
          expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(who));
        }
        break;
      case 1:
        ASSERT_TRUE(advise(spaces[who], page, 1, uapi::kMadvDontNeed));
        expected[who][page] = 0;
        break;
      case 2:
        ASSERT_TRUE(protect(spaces[who], page, 1, uapi::kProtRead));
        ASSERT_TRUE(protect(spaces[who], page, 1, uapi::kProtRead | uapi::kProtWrite));
        break;
      case 3:
      case 4:
        poke(spaces[who], page, round + 1);
        expected[who][page] = round + 1;
        break;
      default: {
        const Path path = path_to(*spaces[who], at(page));
        if (path.has_leaf && path.leaf_class == LeafClass::kAnon) move(spaces[who], page);
        EXPECT_EQ(peek(spaces[who], page), expected[who][page]);
      }
    }
    if (HasFailure()) FAIL() << "round " << round;
  }
  cpu().stop();
}

}  // namespace
}  // namespace quire::test
