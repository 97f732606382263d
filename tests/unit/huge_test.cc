// Huge pages: a pool, mappings of large leaves, reservations (docs/decisions/0016-huge-pages.md).
#include <array>
#include <vector>

#include "quire/rmap/migrate.h"
#include "quire/rmap/poison.h"
#include "quire/space/hold.h"
#include "quire/space/observe.h"
#include "support/huge.h"

namespace quire::test {
namespace {

class Huge : public HugeTest {};
QUIRE_IN_EVERY_MODE(Huge);

TEST_P(Huge, PagesComeFromAPoolThatGrowsAndShrinks) {
  set_pool(4);
  const std::uint64_t free = memory().pool().free_frames().raw();
  EXPECT_EQ(figures(), "4 idle, 0 reserved");
  EXPECT_EQ(memory().huge().frames().raw(), 4 * kHuge);
  expect_clean_audit();
  pool().resize(1);
  EXPECT_EQ(memory().pool().free_frames().raw(), free + 3 * kHuge);
  expect_clean_audit();
  pool().resize(3);  // from frames that were used before
  EXPECT_EQ(figures(), "3 idle, 0 reserved");
  expect_clean_audit();
  pool().resize(1000);  // as far as memory goes
  EXPECT_GT(pool().figures().total, 16U);
  EXPECT_LT(pool().figures().total, 32U);
  expect_clean_audit();
}

// Rows: S2.4 S2.11
TEST_P(Huge, MemoryIsMappedByOneLeafAndIsNotInTheResidentSize) {
  set_pool(4);
  map_pages(space(), 0, 3 * kHuge, kPrivate);
  EXPECT_EQ(figures(), "4 idle, 3 reserved");
  const std::uint64_t faults = counter(Counter::kFaultMinor);
  for (std::uint64_t n = 0; n < 2 * kHuge; n += 3) poke(space(), n, n + 1);
  EXPECT_EQ(counter(Counter::kFaultMinor) - faults, 2U);
  for (std::uint64_t n = 0; n < 2 * kHuge; n += 3) EXPECT_EQ(peek(space(), n), n + 1);
  EXPECT_EQ(peek(space(), 2 * kHuge + 5), 0U);
  EXPECT_EQ(figures(), "1 idle, 0 reserved");
  const Usage usage = space()->usage();
  EXPECT_EQ(usage.rss().raw(), 0U);
  EXPECT_EQ(usage.huge.raw(), 3 * kHuge);
  EXPECT_EQ(usage.tables.raw(), 3U);
  EXPECT_TRUE(unmap(space(), kHuge, kHuge));
  EXPECT_EQ(figures(), "2 idle, 0 reserved");
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_EQ(space()->usage().huge.raw(), 2 * kHuge);
}

// Linux v6.12 Documentation/admin-guide/mm/hugetlbpage.rst
TEST_P(Huge, PagesArePromisedWhenTheyAreMapped) {
  set_pool(2);
  EXPECT_EQ(map_huge(space(), 3, uapi::kMapPrivate).error(), Errno::kNoMem);
  EXPECT_EQ(map_huge(space(), 3, uapi::kMapShared).error(), Errno::kNoMem);
  EXPECT_EQ(figures(), "2 idle, 0 reserved");
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  Space other = new_space();
  ASSERT_TRUE(map_huge(other, 1, uapi::kMapPrivate | uapi::kMapNoReserve | uapi::kMapFixed, at(0)));
  EXPECT_EQ(outcome(other, 0, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_EQ(outcome(other, 0, Access::kRead), FaultOutcome::kBusError);
  ASSERT_TRUE(unmap(space(), kHuge, kHuge));
  poke(other, 0, 5);
  EXPECT_EQ(figures(), "1 idle, 1 reserved");
  poke(space(), 0, 6);
  EXPECT_EQ(peek(other, 0), 5U);
  EXPECT_EQ(figures(), "0 idle, 0 reserved");
}

TEST_P(Huge, SizesAndPlacesAreWholePages) {
  set_pool(4);
  const auto placed = map_huge(space(), 1, uapi::kMapPrivate);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->raw() % (kHuge * kPageSize), 0U);
  EXPECT_EQ(map_huge(space(), 1, uapi::kMapPrivate | uapi::kMapFixed, at(1)).error(), Errno::kInval);
  const auto hinted = map_huge(space(), 1, uapi::kMapPrivate, at(1));
  ASSERT_TRUE(hinted);
  EXPECT_EQ(*hinted, at(kHuge));
  EXPECT_EQ(map_huge(space(), 1, uapi::kMapPrivate | uapi::kMapGrowsDown).error(), Errno::kInval);
  EXPECT_EQ(map_huge(space(), 1, uapi::kMapPrivate | 12U << 26).error(), Errno::kInval);
  EXPECT_EQ(map_huge(space(), 1, uapi::kMapPrivate | 30U << 26).error(), Errno::kNoMem);
  MmapRequest request;
  request.length = ByteCount(kPageSize);
  request.prot = kReadWrite;
  request.flags = uapi::kMapPrivate | uapi::kMapAnonymous | uapi::kMapHugeTlb;
  const auto rounded = space()->mmap(request);
  ASSERT_TRUE(rounded);
  EXPECT_EQ(space()->find(*rounded)->range.pages().raw(), kHuge);
  EXPECT_EQ(figures(), "4 idle, 3 reserved");
}

// Rows: S2.51
TEST_P(Huge, PagesAreNotSplit) {
  set_pool(3);
  map_pages(space(), 0, 3 * kHuge, kPrivate);
  fill(space(), 0, 2);
  EXPECT_EQ(unmap(space(), 0, 1).error(), Errno::kInval);
  EXPECT_EQ(unmap(space(), 1, kHuge).error(), Errno::kInval);
  EXPECT_EQ(protect(space(), kHuge - 1, kHuge, kRead).error(), Errno::kInval);
  EXPECT_EQ(advise(space(), 0, 1, uapi::kMadvDontFork).error(), Errno::kInval);
  EXPECT_EQ(advise(space(), 1, kHuge, uapi::kMadvDontNeed).error(), Errno::kInval);
  EXPECT_EQ(advise(space(), 0, kHuge, uapi::kMadvFree).error(), Errno::kInval);
  EXPECT_EQ(advise(space(), 0, kHuge, uapi::kMadvCold).error(), Errno::kInval);
  EXPECT_EQ(advise(space(), 0, kHuge, uapi::kMadvWipeOnFork).error(), Errno::kInval);
  EXPECT_TRUE(advise(space(), 0, 1, uapi::kMadvDontNeed));  // of no whole page
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_EQ(map_huge(space(), 1, uapi::kMapPrivate | uapi::kMapNoReserve | uapi::kMapFixed, at(kHuge / 2)).error(), Errno::kInval);
  EXPECT_EQ(space()->usage().mappings, 1U);
}

TEST_P(Huge, PromisesEndWithTheSpace) {
  set_pool(4);
  {
    Space other = new_space();
    map_pages(other, 0, 3 * kHuge, kPrivate);
    map_pages(other, 8 * kHuge, kHuge, kShared);
    poke(other, 0, 1);
    const Space child = fork(other);
    EXPECT_EQ(figures(), "3 idle, 3 reserved");
    cpu().run(child);
  }
  cpu().run(space());
  EXPECT_EQ(figures(), "4 idle, 0 reserved");
}

TEST_P(Huge, RightsAreTakenAndGivenBack) {
  set_pool(2);
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  fill(space(), 0, 2);
  EXPECT_TRUE(protect(space(), 0, kHuge, kRead));
  EXPECT_EQ(outcome(space(), 1, Access::kWrite), FaultOutcome::kAccessError);
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_TRUE(protect(space(), 0, kHuge, 0));
  EXPECT_EQ(outcome(space(), 1, Access::kRead), FaultOutcome::kAccessError);
  std::uint64_t seen = 0;
  EXPECT_TRUE(space()->peek(at(1), std::as_writable_bytes(std::span(&seen, 1))));
  EXPECT_EQ(seen, 2U);
  EXPECT_TRUE(protect(space(), 0, kHuge, kReadWrite));
  EXPECT_EQ(space()->usage().mappings, 2U) << "mappings of huge pages are not merged";
  poke(space(), 1, 20);
  EXPECT_EQ(peek(space(), 1), 20U);
  EXPECT_EQ(peek(space(), 0), 1U);
}

TEST_P(Huge, PagesMoveAsTheyAre) {
  set_pool(4);
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  fill(space(), 0, 3);
  poke(space(), kHuge + 1, 7);
  const Space child = fork();
  const VirtAddr target = at(600 * kHuge);  // in another table
  ASSERT_TRUE(move(space(), 0, 2 * kHuge, 600 * kHuge));
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(peek(space(), 600 * kHuge + 2), 3U);
  EXPECT_EQ(peek(space(), 601 * kHuge + 1), 7U);
  poke(space(), 600 * kHuge + 2, 30);
  EXPECT_EQ(peek(child, 2), 3U);
  expect_clean_audit();
  const auto resize = [&](std::uint64_t from_pages, std::uint64_t to_pages, std::uint32_t flags) {
    return space()->mremap({.old_address = target,
                            .old_length = PageCount(from_pages).bytes(),
                            .new_length = PageCount(to_pages).bytes(),
                            .flags = flags});
  };
  EXPECT_EQ(resize(2 * kHuge, 3 * kHuge, uapi::kMremapMayMove).error(), Errno::kInval);
  EXPECT_EQ(resize(2 * kHuge, 2 * kHuge, uapi::kMremapMayMove | uapi::kMremapDontUnmap).error(), Errno::kInval);
  EXPECT_EQ(move(space(), 600 * kHuge, 2 * kHuge, 1).error(), Errno::kInval);
  ASSERT_TRUE(resize(2 * kHuge, kHuge + 1, 0));
  EXPECT_EQ(peek(space(), 601 * kHuge + 1), 7U);
  ASSERT_TRUE(resize(2 * kHuge, kHuge, 0));
  EXPECT_EQ(outcome(space(), 601 * kHuge, Access::kRead), FaultOutcome::kMapError);
}

// Linux v6.17 mm/mremap.c:remap_move()
TEST_P(Huge, PagesMoveAlongWithOtherMappings) {
  set_pool(2);
  map_pages(space(), 4, kHuge - 4);
  map_pages(space(), kHuge, kHuge, kPrivate);
  map_pages(space(), 2 * kHuge, 8);
  for (const std::uint64_t n : {kHuge - 1, kHuge, 2 * kHuge}) poke(space(), n, n);
  EXPECT_EQ(move(space(), kHuge - 4, kHuge + 8, 600 * kHuge).error(), Errno::kInval) << "the second would lie askew";
  EXPECT_EQ(peek(space(), 600 * kHuge + 3), kHuge - 1) << "the first has moved";
  EXPECT_EQ(peek(space(), kHuge), kHuge);
  ASSERT_TRUE(move(space(), kHuge, kHuge + 8, 601 * kHuge));
  EXPECT_EQ(peek(space(), 601 * kHuge), kHuge);
  EXPECT_EQ(peek(space(), 602 * kHuge), 2 * kHuge);
  EXPECT_EQ(outcome(space(), kHuge, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(figures(), "1 idle, 0 reserved");
}

TEST_P(Huge, PagesAreReadAndWrittenFromOutside) {
  set_pool(3);
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  std::array<std::byte, 3 * kPageSize> bytes{};
  bytes.fill(std::byte{7});
  ASSERT_TRUE(space()->write(at(kHuge - 1), bytes));
  EXPECT_EQ(peek(space(), kHuge), 0x0707070707070707U);
  EXPECT_EQ(peek(space(), kHuge + 2), 0U);
  const Space child = fork();
  bytes.fill(std::byte{});
  ASSERT_TRUE(child->read(at(kHuge - 1), bytes));
  EXPECT_EQ(bytes.back(), std::byte{7});
  const std::uint64_t value = 5;
  ASSERT_TRUE(child->poke(at(kHuge), std::as_bytes(std::span(&value, 1))));
  EXPECT_EQ(peek(child, kHuge), 5U);
  EXPECT_EQ(peek(space(), kHuge), 0x0707070707070707U);
}

// Rows: S2.11
TEST_P(Huge, PagesAreObserved) {
  set_pool(4);
  map_pages(space(), 0, 3 * kHuge, kPrivate);
  poke(space(), 0, 1);
  poke(space(), kHuge, 1);
  std::vector<std::uint8_t> resident(3 * kHuge);
  ASSERT_TRUE(space()->mincore(at(0), resident));
  EXPECT_EQ(resident[2 * kHuge - 1], 1);
  EXPECT_EQ(resident[2 * kHuge], 0);
  const Space child = fork();
  poke(child, 0, 2);
  const VirtRange range(at(0), PageCount(3 * kHuge).bytes());
  Observer observer(*space());
  const RangeFigures figures = observer.measure(range);
  EXPECT_EQ(figures.private_huge.raw(), kHuge);
  EXPECT_EQ(figures.shared_huge.raw(), kHuge);
  EXPECT_EQ(figures.resident.raw(), 0U);
  std::array<PageState, 2> pages;
  observer.look(at(kHuge - 1), pages);
  EXPECT_TRUE(pages[0].exclusive);
  EXPECT_EQ(pages[0].frame, path_to(*space(), at(0)).leaf + PageCount(kHuge - 1));
  EXPECT_TRUE(pages[1].present);
  EXPECT_FALSE(pages[1].exclusive);
  EXPECT_EQ(pages[1].mappings, 2U);
}

TEST_P(Huge, PagesAreNeitherMovedNorPoisoned) {
  set_pool(1);
  map_pages(space(), 0, kHuge, kPrivate);
  poke(space(), 3, 7);
  const Pfn pfn = path_to(*space(), at(0)).leaf;
  EXPECT_FALSE(migrate_frame(memory(), pfn));
  EXPECT_EQ(poison_frame(memory(), pfn).error(), Errno::kBusy);
  EXPECT_EQ(path_to(*space(), at(0)).leaf, pfn);
  EXPECT_EQ(peek(space(), 3), 7U);
}

// Linux v6.12 Documentation/admin-guide/mm/hugetlbpage.rst: nr_overcommit_hugepages
TEST_P(Huge, PoolsOvercommitAsFarAsTheyMay) {
  set_pool(1);
  pool().set_overcommit(2);
  EXPECT_EQ(map_huge(space(), 4, uapi::kMapPrivate).error(), Errno::kNoMem);
  EXPECT_EQ(pool().figures().total, 1U) << "what was made in vain is gone";
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  EXPECT_EQ(pool().figures().surplus, 1U);
  poke(space(), 0, 1);
  ASSERT_TRUE(map_huge(space(), 1, uapi::kMapPrivate | uapi::kMapNoReserve | uapi::kMapFixed, at(8 * kHuge)));
  poke(space(), 8 * kHuge, 2);
  EXPECT_EQ(pool().figures().surplus, 2U);
  expect_clean_audit();
  ASSERT_TRUE(unmap(space(), 8 * kHuge, kHuge));
  EXPECT_EQ(pool().figures().surplus, 1U);
  ASSERT_TRUE(unmap(space(), 0, 2 * kHuge));
  EXPECT_EQ(pool().figures().total, 1U);
  // In use, the pool shrinks later.
  map_pages(space(), 0, kHuge, kPrivate);
  poke(space(), 0, 1);
  pool().resize(0);
  EXPECT_EQ(pool().figures().total, 1U);
  EXPECT_EQ(pool().figures().persistent(), 0U);
  ASSERT_TRUE(unmap(space(), 0, kHuge));
  EXPECT_EQ(pool().figures().total, 0U);
}

// Rows: S0.40
TEST_P(Huge, AllocationsMayFailAnywhere) {
  set_pool(6);
  const auto every = [&](auto operation) {
    for (std::uint64_t n = 1;; ++n) {
      memory().pool().fail_after(n);
      const bool done = operation();
      const bool failed = memory().pool().failure_injected();
      memory().pool().fail_after(0);
      expect_clean_audit();
      if (done) return;
      ASSERT_TRUE(failed);
    }
  };
  every([&] { return map_huge(space(), 2, uapi::kMapPrivate | uapi::kMapFixed, at(0)).has_value(); });
  every([&] { return map_huge(space(), 1, uapi::kMapShared | uapi::kMapFixed, at(4 * kHuge)).has_value(); });
  every([&] { return space()->fault(at(0), Access::kWrite) == FaultOutcome::kMinor; });
  every([&] { return space()->fault(at(4 * kHuge), Access::kWrite) == FaultOutcome::kMinor; });
  poke(space(), 0, 1);
  Space child;
  every([&] {
    auto forked = space().fork();
    if (forked) child = std::move(*forked);
    return forked.has_value();
  });
  every([&] { return child->fault(at(0), Access::kWrite) == FaultOutcome::kMinor; });
  every([&] { return move(child, 0, 2 * kHuge, 600 * kHuge).has_value(); });
  every([&] { return unmap(child, 600 * kHuge, kHuge).has_value(); });
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_EQ(figures(), "4 idle, 1 reserved");
  cpu().run(space());
}

// Rows: X18
TEST_P(Huge, TheModuleIsOffWhereTheProcessorHasNoLargeLeaves) {
  machine_config_.geometry = Geometry::tiny(2, 5);
  EXPECT_FALSE(memory().huge().has(kLevel));
  EXPECT_EQ(map_huge(space(), 1, uapi::kMapPrivate).error(), Errno::kInval);
}

}  // namespace
}  // namespace quire::test
