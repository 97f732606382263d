// The simulated hardware itself: that it is as unforgiving as it must be to prove anything about
// core.
#include <array>

#include "support/fixture.h"

namespace quire::test {
namespace {

class Hardware : public MachineTest {
 protected:
  /// The 64-bit slot of the table of `level` that serves a page column.
  std::uint64_t* slot(std::uint64_t page, unsigned level) {
    const Path path = path_to(*space(), at(page));
    const Geometry& geometry = memory().geometry();
    const Pfn table = level == geometry.levels() ? space()->tlb().root
                                                 : path.tables[geometry.levels() - 1 - level];
    return reinterpret_cast<std::uint64_t*>(memory().window(table)) +
           geometry.slot_of(at(page), Level(static_cast<std::uint8_t>(level)));
  }
  static constexpr std::uint64_t kWriteBit = mmu::RawEntry::kWrite;
};

// Rows: S2.23 I7
TEST_F(Hardware, UsesAStaleTranslationUntilItIsFlushed) {
  map("AA");
  fill(space(), 0, 2);
  const std::uint64_t saved = *slot(0, 1);
  *slot(0, 1) = 0;  // taken away behind the processor's back
  EXPECT_EQ(cpu().load<std::uint64_t>(at(0)).value_or(0), 1U);
  *slot(0, 1) = saved;
  // A flush of the neighbour changes nothing; one of the page does.
  machine().flush(space()->tlb(),
                  {.range = VirtRange(at(1), at(2)), .depth = FlushRequest::Depth::kLeavesOnly});
  *slot(0, 1) = saved & ~kWriteBit;
  EXPECT_TRUE(cpu().store<std::uint64_t>(at(0), 7));
  EXPECT_EQ(*slot(0, 1) & kWriteBit, 0U) << "the store needed no look at the entry";
  machine().flush(space()->tlb(),
                  {.range = VirtRange(at(0), at(1)), .depth = FlushRequest::Depth::kLeavesOnly});
  const std::uint64_t faults = counter(Counter::kFaultMinor);
  EXPECT_TRUE(cpu().store<std::uint64_t>(at(0), 8));
  EXPECT_EQ(counter(Counter::kFaultMinor), faults + 1);
}

// Rows: S0.30 S0.46 I7
TEST_F(Hardware, WalksOnFromACachedUpperEntryUntilTablesAreFlushed) {
  map_pages(space(), 0, 1024);
  fill(space(), 0, 2);
  const std::uint64_t saved = *slot(0, 2);
  *slot(0, 2) = 0;
  // Page 1's leaf is forgotten, the upper entry is not.
  machine().flush(space()->tlb(),
                  {.range = VirtRange(at(1), at(2)), .depth = FlushRequest::Depth::kLeavesOnly});
  EXPECT_EQ(cpu().load<std::uint64_t>(at(1)).value_or(0), 2U);
  *slot(0, 2) = saved & ~kWriteBit;
  machine().flush(space()->tlb(),
                  {.range = VirtRange(at(1), at(2)), .depth = FlushRequest::Depth::kTablesToo});
  *slot(0, 2) = saved;
  EXPECT_EQ(cpu().load<std::uint64_t>(at(1)).value_or(0), 2U);
}

// Rows: S0.13
TEST_F(Hardware, AndsWriteAndOrsNoExecuteAlongThePath) {
  map("AA");
  fill(space(), 0, 2);
  for (unsigned level = 2; level <= 4; ++level) {
    *slot(0, level) &= ~kWriteBit;
    machine().flush(space()->tlb(), {.range = VirtRange(at(0), at(2))});
    const std::uint64_t faults = counter(Counter::kFaultMinor);
    EXPECT_TRUE(cpu().store<std::uint64_t>(at(0), 1))
        << "core takes the table over: it is shared with nobody";
    EXPECT_EQ(counter(Counter::kFaultMinor), faults + 1);
  }
  ASSERT_TRUE(protect(space(), 0, 2, 7));
  EXPECT_EQ(outcome(space(), 0, Access::kExecute), FaultOutcome::kMinor);
  *slot(0, 3) |= mmu::RawEntry::kExecuteDisable;
  machine().flush(space()->tlb(), {.range = VirtRange(at(0), at(2))});
  cpu().set_fault_handler(nullptr, nullptr);
  std::byte byte{};
  // Core finds nothing wrong with the leaf, so the access makes no progress; the machine says so.
  EXPECT_FALSE(cpu().fetch(at(0), std::span(&byte, 1)));
  EXPECT_EQ(machine().violations().count(), 1U);
  *slot(0, 3) &= ~mmu::RawEntry::kExecuteDisable;
  machine().forget_violations();
}

// Rows: S1.12 S0.13
TEST_F(Hardware, SetsAccessedAndDirtyAsTheManualSays) {
  map("AA");
  fill(space(), 0, 2);
  *slot(0, 1) &= ~(mmu::RawEntry::kAccessed | mmu::RawEntry::kDirty);
  machine().flush(space()->tlb(), {.range = VirtRange(at(0), at(2))});
  EXPECT_TRUE(cpu().load<std::uint64_t>(at(0)));
  EXPECT_TRUE(mmu::RawEntry(*slot(0, 1)).accessed());
  EXPECT_FALSE(mmu::RawEntry(*slot(0, 1)).dirty());
  EXPECT_TRUE(cpu().store<std::uint64_t>(at(0), 3)) << "a cached clean translation is walked again";
  EXPECT_TRUE(mmu::RawEntry(*slot(0, 1)).dirty());
}

// Rows: S2.24
TEST_F(Hardware, DropsWhatItKeptOfASpaceThatChangedWhileItRanAnother) {
  map("AA");
  fill(space(), 0, 2);
  const Space other = new_space();
  cpu().run(other);
  EXPECT_EQ(space()->tlb().running.load(), 0U);
  ASSERT_TRUE(unmap(space(), 0, 1));
  cpu().run(space());
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(peek(space(), 1), 2U);
}

// Rows: S2.24
TEST_F(Hardware, KeepsWhatItKnowsOfASpaceThatDidNotChange) {
  map("AA");
  fill(space(), 0, 2);
  const Space other = new_space();
  cpu().run(other);
  const std::uint64_t saved = *slot(0, 1);
  *slot(0, 1) = 0;
  cpu().run(space());
  EXPECT_EQ(cpu().load<std::uint64_t>(at(0)).value_or(0), 1U)
      << "as with a PCID, nothing is lost by a switch";
  *slot(0, 1) = saved;
}

// Rows: R25 S2.46
TEST_F(Hardware, LetsGoOfALazilyLoadedRootBeforeItIsFreed) {
  Space doomed = new_space();
  map(doomed, "AA");
  fill(doomed, 0, 2);
  cpu().idle();
  doomed.reset();
  cpu().speculate(at(0));
  EXPECT_EQ(machine().violations().count(), 0U);
}

// Rows: I7 S0.29
TEST_F(Hardware, ReportsAWalkThroughAFreedTable) {
  map("AA");
  fill(space(), 0, 2);
  const Path path = path_to(*space(), at(0));
  Frame& table = memory().frame(path.tables[2]);
  const FrameKind kind = table.kind;
  table.kind = FrameKind::kFree;  // as if it had been freed without a flush
  machine().flush(space()->tlb(),
                  {.range = VirtRange(at(1), at(2)), .depth = FlushRequest::Depth::kLeavesOnly});
  cpu().speculate(at(1));
  EXPECT_EQ(machine().violations().count(), 1U);
  EXPECT_STREQ(machine().violations().at(0).invariant, "I7");
  table.kind = kind;
  machine().forget_violations();
}

// Rows: I7
TEST_F(Hardware, ReportsALoadFromAFrameThatWasFreedAndUsedAgain) {
  map("A");
  poke(space(), 0, 1);
  Frame& frame = memory().frame(path_to(*space(), at(0)).leaf);
  ++frame.generation;  // freed and handed out again meanwhile
  EXPECT_TRUE(cpu().load<std::uint64_t>(at(0)));
  EXPECT_EQ(machine().violations().count(), 1U);
  machine().forget_violations();
}

// Rows: S1.13
TEST_F(Hardware, StoresAcrossAPageOnBothPagesOrOnNone) {
  map("AB");
  ASSERT_TRUE(protect(space(), 1, 1, uapi::kProtRead));
  poke(space(), 0, 0);
  const VirtAddr across = at(1) - ByteCount(4);
  const auto refused = cpu().store<std::uint64_t>(across, ~std::uint64_t{0});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().address, at(1));
  EXPECT_EQ(refused.error().outcome, FaultOutcome::kAccessError);
  EXPECT_EQ(cpu().load<std::uint32_t>(across).value_or(1), 0U);
  ASSERT_TRUE(protect(space(), 1, 1, 3));
  ASSERT_TRUE(cpu().store<std::uint64_t>(across, 0x1122334455667788));
  EXPECT_EQ(cpu().load<std::uint64_t>(across).value_or(0), 0x1122334455667788U);
  EXPECT_EQ(cpu().load<std::uint16_t>(at(1)).value_or(0), 0x3344U);
}

// Rows: S1.13
TEST_F(Hardware, LoadsAndStoresEveryWidth) {
  map("A");
  for (std::uint64_t offset = 0; offset < 16; ++offset) {
    const VirtAddr here = at(0) + ByteCount(offset);
    EXPECT_TRUE(cpu().store<std::uint8_t>(here, 0x12));
    EXPECT_EQ(cpu().load<std::uint8_t>(here).value_or(0), 0x12);
    EXPECT_TRUE(cpu().store<std::uint16_t>(here, 0x1234));
    EXPECT_EQ(cpu().load<std::uint16_t>(here).value_or(0), 0x1234);
    EXPECT_TRUE(cpu().store<std::uint32_t>(here, 0x12345678));
    EXPECT_EQ(cpu().load<std::uint32_t>(here).value_or(0), 0x12345678U);
    EXPECT_TRUE(cpu().store<std::uint64_t>(here, 0x123456789abcdef0));
    EXPECT_EQ(cpu().load<std::uint64_t>(here).value_or(0), 0x123456789abcdef0U);
  }
}

// Rows: S0.66
TEST_F(Hardware, GivesHostPointersThatHoldWhileTheEpochStands) {
  map("A");
  const auto host = cpu().translate(at(0) + ByteCount(8), Access::kWrite);
  ASSERT_TRUE(host);
  EXPECT_EQ(host->size(), kPageSize - 8);
  const std::uint64_t epoch = cpu().epoch();
  (*host)[0] = std::byte{42};
  EXPECT_EQ(cpu().load<std::uint8_t>(at(0) + ByteCount(8)).value_or(0), 42);
  EXPECT_EQ(cpu().epoch(), epoch);
  const Space child = fork();
  EXPECT_NE(cpu().epoch(), epoch) << "the pointer is no longer good for stores";
}

// Rows: S0.66
TEST_F(Hardware, AsksTheFaultHandlerBeforeItGivesUp) {
  using ThisTest = std::remove_pointer_t<decltype(this)>;
  struct Handler {
    ThisTest* test;
    unsigned calls = 0;
  } handler{this};
  cpu().set_fault_handler(
      [](void* user, Cpu&, const Fault& fault) {
        auto& self = *static_cast<Handler*>(user);
        if (++self.calls > 1) return FaultAction::kDeliver;
        EXPECT_EQ(fault.outcome, FaultOutcome::kMapError);
        self.test->map("A");
        return FaultAction::kRetry;
      },
      &handler);
  EXPECT_TRUE(cpu().store<std::uint64_t>(at(0), 1)) << "mapped on demand";
  EXPECT_FALSE(cpu().store<std::uint64_t>(at(1), 1));
  EXPECT_EQ(handler.calls, 2U);
  cpu().set_fault_handler(nullptr, nullptr);
}

class EveryPolicy : public MachineTest, public ::testing::WithParamInterface<CachePolicy> {};
INSTANTIATE_TEST_SUITE_P(Policies, EveryPolicy,
                         ::testing::Values(CachePolicy::kKeepAll, CachePolicy::kTablesOnly,
                                           CachePolicy::kRandom));

// Rows: R4 R6 S0.46 S0.15 S2.48
TEST_P(EveryPolicy, NeverShowsASiblingWhatWasWrittenAfterTheForkOrAfterLeavingATable) {
  // The sibling has everything cached, with D set, before each step; what it reads and writes
  // afterwards must be its own space's.
  map("AAAA");
  fill(space(), 0, 4);
  Cpu& sibling = new_cpu(GetParam());
  Cpu& child_cpu = new_cpu(GetParam());
  sibling.run(space());
  for (std::uint64_t n = 0; n < 4; ++n) ASSERT_TRUE(sibling.store(at(n), n + 1));
  Space child = fork();
  child_cpu.run(child);
  ASSERT_TRUE(sibling.store<std::uint64_t>(
      at(0), 100));  // R6: through its writable translation, if that were still there
  EXPECT_EQ(child_cpu.load<std::uint64_t>(at(0)).value_or(0), 1U);
  // R4: the sibling caches the shared table; the first CPU leaves it; the child, sole owner now,
  // changes and frees.
  EXPECT_EQ(sibling.load<std::uint64_t>(at(1)).value_or(0), 2U);
  poke(space(), 2, 300);
  EXPECT_EQ(sibling.load<std::uint64_t>(at(2)).value_or(0), 300U);
  ASSERT_TRUE(child_cpu.store<std::uint64_t>(at(1), 200));
  EXPECT_EQ(sibling.load<std::uint64_t>(at(1)).value_or(0), 2U);
  ASSERT_TRUE(child->munmap(at(0), PageCount(4).bytes()));
  EXPECT_FALSE(child_cpu.load<std::uint64_t>(at(3)));
  for (std::uint64_t n : {1U, 3U}) EXPECT_EQ(sibling.load<std::uint64_t>(at(n)).value_or(0), n + 1);
  ASSERT_TRUE(unmap(space(), 3, 1));
  EXPECT_FALSE(sibling.load<std::uint64_t>(at(3)));
}

// Rows: S3.18 S0.30
TEST_P(EveryPolicy, ShowsASiblingTheValueThatReplacedZero) {
  map_pages(space(), 0, 512);
  Cpu& sibling = new_cpu(GetParam());
  sibling.run(space());
  for (std::uint64_t n = 0; n < 512; n += 7)
    EXPECT_EQ(sibling.load<std::uint64_t>(at(n)).value_or(1), 0U);
  for (std::uint64_t n = 0; n < 512; n += 14) {
    poke(space(), n, n + 1);
    EXPECT_EQ(sibling.load<std::uint64_t>(at(n)).value_or(0), n + 1);
  }
}

}  // namespace
}  // namespace quire::test
