// Fork: what the child sees, what is shared and counted at each level, and what the first writes
// after it cost.
#include <vector>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;         ///< pages under one level-1 table of x86-64
constexpr std::uint64_t kGiB = 512 * kSpan;  ///< pages under one level-2 table

class Fork : public EveryMode {};
QUIRE_IN_EVERY_MODE(Fork);

class TreeFork : public MachineTest {
 protected:
  [[nodiscard]] Path path(const Space& where, std::uint64_t page) {
    return path_to(*where, at(page));
  }
};

// Rows: S0.9 S0.13 S1.5
TEST_P(Fork, LeavesTheParentsDataAloneWhenTheChildWrites) {
  map("AAAA");
  fill(space(), 0, 4);
  const Space child = fork();
  poke(child, 1, 77);
  EXPECT_EQ(peek(child, 1), 77U);
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_EQ(peek(child, 3), 4U);
}

// Rows: S0.5 S0.15
TEST_P(Fork, LeavesTheChildsDataAloneWhenTheParentWrites) {
  map("AAAA");
  fill(space(), 0, 4);
  const Space child = fork();
  poke(space(), 1, 77);
  EXPECT_EQ(peek(child, 1), 2U);
  EXPECT_EQ(peek(space(), 1), 77U);
}

// Rows: S0.4 S0.20 X1
TEST_P(Fork, KeepsThreeGenerationsApart) {
  map("AAAA");
  fill(space(), 0, 4);
  const Space b = fork();
  const Space c = fork(b);
  poke(space(), 0, 100);
  EXPECT_EQ(peek(b, 0), 1U);
  EXPECT_EQ(peek(c, 0), 1U);
  poke(c, 0, 300);
  EXPECT_EQ(peek(b, 0), 1U);
  EXPECT_EQ(peek(space(), 0), 100U);
  poke(b, 0, 200);
  EXPECT_EQ(peek(c, 0), 300U);
}

// Rows: S0.16
TEST_P(Fork, GivesTheChildDataFaultsAndZerosForNeighboursInOneTable) {
  map("AABBCC");
  fill(space(), 0, 6);
  ASSERT_TRUE(advise(space(), 2, 2, uapi::kMadvDontFork));
  ASSERT_TRUE(advise(space(), 4, 2, uapi::kMadvWipeOnFork));
  const Space child = fork();
  EXPECT_EQ(picture(child, 6), "AA..BB");
  EXPECT_EQ(peek(child, 1), 2U);
  EXPECT_EQ(outcome(child, 2, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(peek(child, 4), 0U);
  for (std::uint64_t n = 0; n < 6; ++n) EXPECT_EQ(peek(space(), n), n + 1);
  EXPECT_EQ(child->usage().rss_anon.raw(), 2U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 6U);
}

// Rows: S0.16
TEST_P(Fork, WipesAgainInTheGrandchild) {
  map("AA");
  ASSERT_TRUE(advise(space(), 0, 1, uapi::kMadvWipeOnFork));
  const Space child = fork();
  fill(child, 0, 2);
  const Space grandchild = fork(child);
  EXPECT_EQ(peek(grandchild, 0), 0U);
  EXPECT_EQ(peek(grandchild, 1), 2U);
  EXPECT_EQ(peek(child, 0), 1U);
}

// Rows: S0.19 S0.44 S2.10 X7
TEST_P(Fork, GivesTheChildTheParentsRssAndUnsharingChangesNobodys) {
  map_pages(space(), 0, kSpan * 3);
  fill(space(), 0, 40);
  fill(space(), kSpan, 40);
  const Space child = fork();
  EXPECT_EQ(child->usage().rss_anon.raw(), 80U);
  poke(child, 5, 1);
  poke(space(), kSpan, 1);
  EXPECT_EQ(child->usage().rss_anon.raw(), 80U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 80U);
  poke(child, 100, 1);
  EXPECT_EQ(child->usage().rss_anon.raw(), 81U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 80U);
}

// Rows: S0.55 X6
TEST_P(Fork, LetsTheSurvivorKeepItsMemoryWhoeverEndsFirst) {
  map("AAAA");
  fill(space(), 0, 4);
  Space child = fork();
  Space grandchild = fork(child);
  poke(child, 0, 50);
  cpu().run(grandchild);
  child.reset();
  EXPECT_EQ(peek(grandchild, 0), 1U);
  EXPECT_EQ(peek(space(), 3), 4U);
  poke(grandchild, 3, 9);
  EXPECT_EQ(peek(space(), 3), 4U);
}

// Rows: S1.1 S1.15 S0.12
TEST(ForkModes, LeaveTheSameTableAfterUnsharing) {
  // The image of the level-1 table a child ends up with, by what its entries mean.
  const auto image = [](ForkMode mode) {
    class Probe : public MachineTest {
     public:
      explicit Probe(ForkMode wanted) { space_config_.fork_mode = wanted; }
      void TestBody() override {}
      std::string run() {
        map_pages(space(), 0, 64);
        fill(space(), 0, 20);
        for (std::uint64_t n = 20; n < 30; ++n) (void)peek(space(), n);
        EXPECT_TRUE(protect(space(), 5, 3, 0));
        EXPECT_TRUE(protect(space(), 8, 3, uapi::kProtRead));
        Space child = fork();
        poke(child, 0, 99);
        std::string text = draw_pages(*child, base(), 64);
        for (std::uint64_t n = 0; n < 64; ++n) {
          const Path path = path_to(*child, at(n));
          text += path.leaf_writable ? 'W' : path.leaf_present ? 'r' : '.';
        }
        return text;
      }
      void end() { TearDown(); }
    } probe(mode);
    std::string text = probe.run();
    probe.end();
    return text;
  };
  const std::string tree = image(ForkMode::kTree);
  EXPECT_EQ(tree, image(ForkMode::kLeaf));
  EXPECT_EQ(tree, image(ForkMode::kCopy));
}

// Rows: S0.9 S1.21 S1.22 S0.66
TEST_F(TreeFork, AllocatesOneTableWhateverIsMapped) {
  map_pages(space(), 0, kGiB * 4);
  for (std::uint64_t n = 0; n < kGiB * 4; n += kSpan * 64) poke(space(), n, 1);
  const std::uint64_t before = counter(Counter::kTableAlloc);
  const std::uint64_t shares = counter(Counter::kShareFork);
  const Space child = fork();
  EXPECT_EQ(counter(Counter::kTableAlloc) - before, 1U);
  EXPECT_EQ(counter(Counter::kShareFork) - shares, 1U);  // one entry of the root
  EXPECT_EQ(child->usage().tables.raw(), space()->usage().tables.raw());
}

// Rows: S0.10 S0.2
TEST_F(TreeFork, CountsATableOnceHoweverManyMappingsLieInIt) {
  for (std::uint64_t n = 0; n < 200; n += 2) {
    ASSERT_TRUE(map_pages(space(), n, 1));
    poke(space(), n, n);
  }
  const Space child = fork();
  EXPECT_EQ(path(space(), 0).shares[0], 2U);
  EXPECT_EQ(path(space(), 0).shares[2], 1U);
}

// Rows: S0.4 S1.5 S1.19
TEST_F(TreeFork, CopiesOneTablePerLevelAtTheFirstWriteAndNoneAtTheSecond) {
  map_pages(space(), 0, kGiB * 2);
  fill(space(), 0, 4);
  poke(space(), kSpan, 1);
  poke(space(), kGiB, 1);
  const Space child = fork();
  const std::uint64_t copied = counter(Counter::kUnshareFault);
  poke(child, 0, 9);
  EXPECT_EQ(counter(Counter::kUnshareFault) - copied, 3U);
  poke(child, 1, 9);
  EXPECT_EQ(counter(Counter::kUnshareFault) - copied, 3U);
  // Off the written path everything is still shared, one level lower down each.
  EXPECT_EQ(path(child, 0).widest_share(), 1U);
  EXPECT_EQ(path(child, kSpan).shares[2], 2U);
  EXPECT_EQ(path(child, kGiB).shares[1], 2U);
  EXPECT_EQ(path(space(), kGiB).shares[0], 1U);
}

// Rows: S0.4 I5
TEST_F(TreeFork, NeverWritesInPlaceBelowASharedTableEvenIfTheLeafTableHasOneShare) {
  map("AA");
  fill(space(), 0, 2);
  const Space b = fork();
  const Space c = fork(b);
  poke(space(), 0, 7);
  const Path lower = path(b, 0);
  EXPECT_EQ(lower.shares[0], 2U);  // b and c
  EXPECT_EQ(lower.shares[2], 1U);
  poke(b, 1, 8);
  EXPECT_EQ(peek(c, 1), 2U);
}

// Rows: S1.19 X3 S0.39 S0.47
TEST_F(TreeFork, TakesTablesOverWithoutCopyingWhenTheChildIsGone) {
  map("AA");
  fill(space(), 0, 2);
  Space child = fork();
  child.reset();
  const std::uint64_t copied = counter(Counter::kUnshareFault);
  const std::uint64_t reused = counter(Counter::kReuseTable);
  const std::uint64_t pages = counter(Counter::kCowCopy);
  poke(space(), 0, 5);
  EXPECT_EQ(counter(Counter::kUnshareFault), copied);
  EXPECT_EQ(counter(Counter::kReuseTable) - reused, 1U);
  EXPECT_EQ(counter(Counter::kCowCopy), pages);
  EXPECT_EQ(path(space(), 0).widest_share(), 1U);
}

// Rows: S0.17 S1.2 I5
TEST_F(TreeFork, CopiesAPageWithOneLeafEntryWhileItsTableIsShared) {
  map("A");
  poke(space(), 0, 1);
  const Space child = fork();
  const Path before = path(space(), 0);
  EXPECT_EQ(memory().frame(before.leaf).leaf_entries(), 1U);
  poke(space(), 0, 2);
  EXPECT_NE(path(space(), 0).leaf.raw(), before.leaf.raw());
  EXPECT_EQ(peek(child, 0), 1U);
}

// Rows: S0.17 I4
TEST_F(TreeFork, RaisesFramesOnlyWhenATableIsCopied) {
  map("AB");
  fill(space(), 0, 2);
  const Space child = fork();
  const Pfn frame = path(space(), 1).leaf;
  EXPECT_EQ(memory().frame(frame).leaf_entries(), 1U);
  poke(child, 0, 3);
  EXPECT_EQ(memory().frame(frame).leaf_entries(), 2U);
}

// Rows: S0.20
TEST_F(TreeFork, WritesNoLeafWhenForkedAgain) {
  map_pages(space(), 0, 64);
  fill(space(), 0, 64);
  const Space first = fork();
  const std::uint64_t flushes = counter(Counter::kFlush);
  const Space second = fork();
  EXPECT_EQ(counter(Counter::kFlush), flushes)
      << "nothing lost write permission, so nothing needs a flush";
  EXPECT_EQ(path(space(), 0).shares[0], 3U);
}

// Rows: S1.21
TEST_F(TreeFork, CostsAHundredIdleChildrenATableEach) {
  map_pages(space(), 0, kGiB);
  for (std::uint64_t n = 0; n < kGiB; n += kSpan) poke(space(), n, 1);
  const PageCount before = memory().tables_in_use();
  std::vector<Space> children;
  for (int n = 0; n < 100; ++n) children.push_back(fork());
  EXPECT_EQ((memory().tables_in_use() - before).raw(), 100U);
}

// Rows: S0.55 S0.8
TEST_F(TreeFork, AllocatesNothingToEndAChild) {
  map("AABBCC");
  fill(space(), 0, 6);
  Space child = fork();
  poke(child, 0, 1);
  cpu().run(space());
  const std::uint64_t frames = counter(Counter::kFrameAlloc);
  memory().pool().fail_after(1);
  child.reset();
  memory().pool().fail_after(0);
  EXPECT_EQ(counter(Counter::kFrameAlloc), frames);
  EXPECT_EQ(path(space(), 0).widest_share(), 1U);
}

// Rows: S0.8
TEST_P(Fork, ReturnsEveryTableAfterManyCycles) {
  map_pages(space(), 0, kSpan * 2);
  fill(space(), 0, 8);
  fill(space(), kSpan, 8);
  Space warm = fork();
  warm.reset();
  const PageCount tables = memory().tables_in_use();
  const PageCount frames = machine().frames_in_use();
  for (int n = 0; n < 2000; ++n) {
    const Space child = fork();
    poke(child, static_cast<std::uint64_t>(n % 8), 1);
    cpu().run(space());
  }
  EXPECT_EQ(memory().tables_in_use().raw(), tables.raw());
  EXPECT_EQ(machine().frames_in_use().raw(), frames.raw());
}

// Rows: S0.23 S1.11 S1.24
TEST_P(Fork, FailsWithoutATraceWhateverAllocationFails) {
  map_pages(space(), 0, kSpan * 2);
  fill(space(), 0, 8);
  fill(space(), kSpan, 8);
  ASSERT_TRUE(advise(space(), 2, 2, uapi::kMadvWipeOnFork));
  ASSERT_TRUE(advise(space(), 4, 1, uapi::kMadvDontFork));
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    memory().pool().fail_after(nth);
    auto child = space().fork();
    const bool injected = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    if (!injected) {
      EXPECT_TRUE(child.has_value());
      break;
    }
    EXPECT_FALSE(child.has_value());
    EXPECT_EQ(child.error(), Errno::kNoMem);
    ++failures;
    expect_clean_audit();
    for (std::uint64_t n = 0; n < 8; ++n) EXPECT_EQ(peek(space(), n), n + 1);
  }
  EXPECT_GT(failures, 2U);
}

// Rows: S0.21 S0.43 S1.12 I14
TEST_P(Fork, KeepsDirtyMarksWhenTablesAreCopied) {
  map("AA");
  poke(space(), 0, 1);
  const Space child = fork();
  poke(child, 1, 1);  // the child copies the table
  const Path inherited = path_to(*child, at(0));
  const auto* const entry = reinterpret_cast<const std::uint64_t*>(
                                memory().window(inherited.tables[inherited.depth - 1])) +
                            0;
  EXPECT_TRUE(mmu::RawEntry(*entry).dirty());
}

// Rows: S0.22
TEST_F(TreeFork, HasMalformedUpperEntriesSeenByTheAudit) {
  map("A");
  poke(space(), 0, 1);
  const Path good = path(space(), 0);
  auto* const entries = reinterpret_cast<std::uint64_t*>(memory().window(good.tables[1]));
  entries[7] = 0x7f'ffff'f000ULL | 0x27;  // a table outside physical memory
  cpu().speculate(at(7 * kSpan));
  EXPECT_EQ(machine().violations().count(), 1U);
  EXPECT_NE(audit_findings(machine()), "");
  entries[7] = 0;
  machine().forget_violations();
}

// Rows: S0.22 S2.14
TEST_P(Fork, LeavesMalformedEntriesWhereTheyAre) {
  map("A");
  Space own = new_space();
  map_pages(own, 0, 600);
  fill(own, 0, 4);
  fill(own, 512, 2);
  // A leaf of memory that is not there, and one without any right; a table that is not there, and one that is not present.
  const auto put = [&](Pfn table, unsigned slot, std::uint64_t entry) {
    reinterpret_cast<std::uint64_t*>(memory().window(table))[slot] = entry;
    Frame& frame = memory().frame(table);
    frame.table.live = static_cast<std::uint16_t>(frame.table.live + 1);
  };
  const Path way = path_to(*own, at(0));
  const Pfn beyond(memory().config().frames.raw() + 5);
  const Pfn leaves = way.tables[way.depth - 1];
  put(leaves, 9, Entry::leaf(beyond, LeafClass::kAnon, Prot(3), Writable::kNo).encoded());
  put(leaves, 10, Entry::leaf(beyond, LeafClass::kAnon, Prot(), Writable::kNo).encoded());
  put(way.tables[1], 7, Entry::table(beyond, Writable::kNo).encoded());
  put(way.tables[0], 8, Entry::table(leaves, Writable::kNo).encoded() & ~std::uint64_t{1});
  {
    const Space child = fork(own);
    poke(child, 1, 77);
    poke(own, 2, 88);
    EXPECT_EQ(peek(child, 2), 3U);
    EXPECT_EQ(peek(child, 512), 513U);
    EXPECT_EQ(peek(own, 1), 2U);
  }
  EXPECT_GE(counter(Counter::kMalformed), 2U);
  EXPECT_NE(audit_findings(machine()), "");
  poke(space(), 0, 1);  // the CPU leaves it
  own.reset();
}

// Rows: S0.57
TEST_P(Fork, CopiesWhereAMappingAsksForIt) {
  map_pages(space(), 0, 512);
  map_pages(space(), 1024, 512);
  fill(space(), 0, 4);
  fill(space(), 1024, 4);
  ASSERT_TRUE(advise(space(), 0, 512, uapi::kMadvForkCopies));
  {
    const Space child = fork();
    const auto leaf_table = [&](const Space& where, std::uint64_t page) {
      const Path path = path_to(*where, at(page));
      return path.tables[path.depth - 1];
    };
    EXPECT_NE(leaf_table(child, 0), leaf_table(space(), 0));
    EXPECT_EQ(leaf_table(child, 1024) == leaf_table(space(), 1024), GetParam() != ForkMode::kCopy);
    poke(child, 1, 77);
    for (const std::uint64_t page : {0U, 1U, 2U, 1024U, 1027U}) EXPECT_EQ(peek(space(), page), page + 1);
    EXPECT_EQ(peek(child, 1), 77U);
    EXPECT_EQ(peek(child, 1027), 1028U);
  }
  ASSERT_TRUE(advise(space(), 0, 512, uapi::kMadvForkShares));
  const std::uint64_t copies = counter(Counter::kUnshareFork);
  const Space child = fork();
  EXPECT_EQ(counter(Counter::kUnshareFork), copies);
  EXPECT_EQ(peek(child, 2), 3U);
}

// Rows: S0.57 S0.23
TEST_F(TreeFork, IsUndoneWholeWhenACopyThatAMappingAsksForCannotBeMade) {
  map_pages(space(), 0, 512);
  fill(space(), 0, 4);
  ASSERT_TRUE(advise(space(), 0, 512, uapi::kMadvForkCopies));
  const PageCount free = memory().pool().free_frames();
  unsigned failures = 0;
  for (;; ++failures) {
    memory().pool().fail_after(failures + 1);
    const Result<AddressSpace*> child = space()->fork();
    const bool failed = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    EXPECT_EQ(child.has_value(), !failed);
    if (child) (*child)->release();
    EXPECT_EQ(memory().pool().free_frames(), free);
    if (!failed) break;
  }
  EXPECT_GT(failures, 3U);
}

}  // namespace
}  // namespace quire::test
