// Huge pages that several map: forks, shared memory, tables that are lent, pages that are held or taken back.
#include <cstring>

#include "quire/object/huge_object.h"
#include "quire/space/hold.h"
#include "support/huge.h"
#include "support/iommu.h"

namespace quire::test {
namespace {

class HugeSharing : public HugeTest {};
QUIRE_IN_EVERY_MODE(HugeSharing);

TEST_P(HugeSharing, PagesGivenUpArePromisedAgain) {
  set_pool(3);
  map_pages(space(), 0, 3 * kHuge, kPrivate);
  poke(space(), 0, 1);
  poke(space(), kHuge, 2);
  EXPECT_EQ(figures(), "1 idle, 1 reserved");
  EXPECT_TRUE(advise(space(), 0, 2 * kHuge - 1, uapi::kMadvDontNeed));
  EXPECT_EQ(figures(), "2 idle, 2 reserved");
  EXPECT_EQ(peek(space(), 0), 0U);
  EXPECT_EQ(peek(space(), kHuge), 2U);
  // While a child has the page there is none to be had; then there is.
  poke(space(), 0, 3);
  {
    const Space child = fork();
    EXPECT_TRUE(advise(space(), 0, kHuge, uapi::kMadvDontNeed));
    EXPECT_EQ(figures(), "1 idle, 2 reserved");
    EXPECT_EQ(peek(child, 0), 3U);
    expect_clean_audit();
    cpu().run(space());
  }
  EXPECT_EQ(figures(), "2 idle, 2 reserved");
  EXPECT_EQ(peek(space(), 0), 0U);
}

// Rows: S2.51 X18
TEST_P(HugeSharing, ForkSharesTheTablesAboveThem) {
  set_pool(4);
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  fill(space(), 0, 4);
  poke(space(), kHuge, 9);
  const std::uint64_t tables = counter(Counter::kTableAlloc);
  const Space child = fork();
  if (GetParam() == ForkMode::kTree) {
    EXPECT_EQ(counter(Counter::kTableAlloc) - tables, 1U);
  }
  EXPECT_EQ(table_of(child, 0) == table_of(space(), 0), GetParam() == ForkMode::kTree);
  EXPECT_EQ(peek(child, 2), 3U);
  EXPECT_EQ(child->usage().huge.raw(), 2 * kHuge);
  EXPECT_EQ(figures(), "2 idle, 0 reserved");
  poke(child, 2, 30);
  EXPECT_EQ(peek(space(), 2), 3U);
  EXPECT_EQ(peek(child, 3), 4U);
  EXPECT_EQ(figures(), "1 idle, 0 reserved");
  poke(space(), 2, 300);  // alone with it by now: no copy
  EXPECT_EQ(figures(), "1 idle, 0 reserved");
  poke(space(), kHuge, 90);
  EXPECT_EQ(peek(child, kHuge), 9U);
  EXPECT_EQ(figures(), "0 idle, 0 reserved");
  expect_clean_audit();
}

TEST_P(HugeSharing, ChildrenHaveNothingPromised) {
  set_pool(3);
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  poke(space(), 0, 1);
  {
    const Space child = fork();
    EXPECT_EQ(figures(), "2 idle, 1 reserved");
    poke(child, 0, 2);
    EXPECT_EQ(outcome(child, kHuge, Access::kWrite), FaultOutcome::kBusError) << "the last page is the parent's";
    EXPECT_EQ(peek(space(), kHuge), 0U);
    EXPECT_EQ(figures(), "0 idle, 0 reserved");
    expect_clean_audit();
  }
  cpu().run(space());
  EXPECT_EQ(figures(), "1 idle, 0 reserved");
  EXPECT_EQ(peek(space(), 0), 1U);
}

// Linux v6.12 mm/hugetlb.c:unmap_ref_private()
// Rows: S2.51
TEST_P(HugeSharing, OwnersTakeTheirPageBackWhereThereIsNoOther) {
  set_pool(2);
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  fill(space(), 0, 2);
  poke(space(), kHuge, 9);
  Space child = fork();
  Space grandchild = fork(child);
  EXPECT_EQ(outcome(child, 1, Access::kWrite), FaultOutcome::kBusError) << "what nobody promised it";
  EXPECT_EQ(peek(child, 1), 2U);
  poke(space(), 1, 20);
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_EQ(peek(space(), 1), 20U);
  for (const Space* other : {&child, &grandchild}) {
    EXPECT_EQ(outcome(*other, 0, Access::kRead), FaultOutcome::kBusError);
    EXPECT_EQ(peek(*other, kHuge), 9U) << "this one was not written";
  }
  expect_clean_audit();
  // What is left in its place is copied, moved and unmapped as a page would be.
  const Space another = fork(child);
  ASSERT_TRUE(move(child, 0, 2 * kHuge, 600 * kHuge));
  EXPECT_EQ(outcome(another, 1, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_EQ(outcome(child, 600 * kHuge, Access::kRead), FaultOutcome::kBusError);
  EXPECT_EQ(peek(child, 601 * kHuge), 9U);
  EXPECT_EQ(child->hold(at(600 * kHuge), Access::kRead, HoldKind::kGet).error(), Errno::kFault);
  expect_clean_audit();
  ASSERT_TRUE(unmap(child, 600 * kHuge, kHuge));
  ASSERT_TRUE(protect(grandchild, 0, 2 * kHuge, kRead));
  EXPECT_EQ(outcome(grandchild, 0, Access::kRead), FaultOutcome::kBusError);
  ASSERT_TRUE(advise(grandchild, 0, kHuge, uapi::kMadvDontNeed));
  EXPECT_EQ(figures(), "0 idle, 0 reserved");
}

TEST_P(HugeSharing, PagesThatAreHeldAreNotTakenBack) {
  set_pool(1);
  map_pages(space(), 0, kHuge, kPrivate);
  poke(space(), 0, 1);
  const Space child = fork();
  auto got = child->hold(at(0), Access::kRead, HoldKind::kGet);
  ASSERT_TRUE(got);
  EXPECT_EQ(outcome(space(), 0, Access::kWrite), FaultOutcome::kBusError);
  std::uint64_t seen = 0;
  std::memcpy(&seen, got->contents(), sizeof seen);
  EXPECT_EQ(seen, 1U);
  got->release();
  poke(space(), 0, 2);
  EXPECT_EQ(peek(space(), 0), 2U);
}

// Rows: S0.56
TEST_P(HugeSharing, SecondaryTranslationsOfAllFramesGoWithAPage) {
  set_pool(2);
  map_pages(space(), 0, kHuge, kShared);
  map_pages(space(), kHuge, kHuge, kPrivate);
  fill(space(), 0, 3);
  poke(space(), kHuge, 5);
  const Space child = fork();
  Iommu device;
  ASSERT_TRUE(device.attach(*child));
  std::uint64_t seen = 0;
  for (std::uint64_t n = 0; n < 3; ++n) {
    ASSERT_TRUE(device.read(at(n), seen));
    EXPECT_EQ(seen, n + 1);
  }
  ASSERT_TRUE(device.read(at(kHuge + 3), seen));
  EXPECT_EQ(device.cached(), 4U);
  ASSERT_TRUE(advise(space(), 0, kHuge, uapi::kMadvRemove));
  EXPECT_EQ(device.cached(), 1U);
  pool().resize(1);
  poke(space(), kHuge, 6);  // taken back
  EXPECT_EQ(device.cached(), 0U);
  EXPECT_FALSE(device.read(at(kHuge + 3), seen));
  EXPECT_EQ(device.unbracketed(), 0U);
}

TEST_P(HugeSharing, SharedMemoryIsOne) {
  set_pool(3);
  map_pages(space(), 0, 2 * kHuge, kShared);
  EXPECT_EQ(figures(), "3 idle, 2 reserved");
  fill(space(), 0, 2);
  const Space child = fork();
  EXPECT_EQ(peek(child, 1), 2U);
  poke(child, 1, 20);
  poke(child, kHuge, 5);
  EXPECT_EQ(peek(space(), 1), 20U);
  EXPECT_EQ(peek(space(), kHuge), 5U);
  EXPECT_EQ(figures(), "1 idle, 0 reserved");
  ASSERT_TRUE(advise(space(), 0, kHuge, uapi::kMadvDontNeed));
  EXPECT_EQ(peek(space(), 1), 20U);
  ASSERT_TRUE(advise(space(), 0, kHuge, uapi::kMadvRemove));
  EXPECT_EQ(figures(), "2 idle, 0 reserved");
  EXPECT_EQ(peek(child, 1), 0U);
  expect_clean_audit();
}

// Rows: X12 X18
TEST_P(HugeSharing, ObjectsLendTablesOfThem) {
  set_pool(4);
  constexpr std::uint64_t kSpan = 512 * kHuge;
  auto made = HugeObject::create(memory(), {kLevel, PageCount(kSpan).bytes()});
  ASSERT_TRUE(made);
  HugeObject& object = **made;
  const auto map_object = [&](const Space& where) {
    MmapRequest request;
    request.address = at(0);
    request.length = PageCount(kSpan).bytes();
    request.prot = kReadWrite;
    request.flags = uapi::kMapShared | uapi::kMapFixed | uapi::kMapNoReserve;
    request.object = &object;
    ASSERT_TRUE(where->mmap(request));
  };
  map_object(space());
  for (std::uint64_t n = 0; n < 3; ++n) poke(space(), n * kHuge, n + 1);
  Space other = new_space();
  map_object(other);
  const std::uint64_t faults = counter(Counter::kFaultMinor);
  for (std::uint64_t n = 0; n < 3; ++n) EXPECT_EQ(peek(other, n * kHuge), n + 1);
  EXPECT_EQ(counter(Counter::kFaultMinor) - faults, 1U);
  EXPECT_EQ(table_of(other, 0), table_of(space(), 0));
  EXPECT_TRUE(memory().frame(table_of(other, 0)).is_lent());
  EXPECT_EQ(other->usage().huge.raw(), 3 * kHuge);
  poke(other, 3 * kHuge, 4);  // for both
  const std::uint64_t after = counter(Counter::kFaultMinor);
  EXPECT_EQ(peek(space(), 3 * kHuge), 4U);
  EXPECT_EQ(counter(Counter::kFaultMinor), after);
  expect_clean_audit();
  // Who unmaps a part leaves the table.
  ASSERT_TRUE(unmap(other, kHuge, kHuge));
  EXPECT_FALSE(memory().frame(table_of(other, 0)).is_lent());
  EXPECT_EQ(outcome(other, kHuge, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(peek(other, 2 * kHuge), 3U);
  EXPECT_EQ(peek(space(), kHuge), 2U);
  expect_clean_audit();
  // What leaves the object goes from the lent table and from the copy.
  object.resize(PageCount(2 * kHuge).bytes());
  EXPECT_EQ(outcome(other, 2 * kHuge, Access::kRead), FaultOutcome::kBusError);
  EXPECT_EQ(outcome(space(), 2 * kHuge, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_EQ(peek(space(), kHuge), 2U);
  EXPECT_EQ(figures(), "2 idle, 0 reserved");
  object.drop_user();
}

TEST_P(HugeSharing, PrivateMappingsOfAnObjectCopyItsPages) {
  set_pool(4);
  auto made = HugeObject::create(memory(), {kLevel, PageCount(2 * kHuge).bytes()});
  ASSERT_TRUE(made);
  MmapRequest request;
  request.address = at(0);
  request.length = PageCount(2 * kHuge).bytes();
  request.prot = kReadWrite;
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  request.object = *made;
  ASSERT_TRUE(space()->mmap(request));
  poke(space(), 1, 5);
  Space other = new_space();
  request.flags = uapi::kMapPrivate | uapi::kMapFixed;
  ASSERT_TRUE(other->mmap(request));
  EXPECT_EQ(figures(), "3 idle, 3 reserved");
  EXPECT_EQ(peek(other, 1), 5U);
  EXPECT_EQ(figures(), "3 idle, 3 reserved");
  poke(other, 2, 6);
  EXPECT_EQ(figures(), "2 idle, 2 reserved");
  EXPECT_EQ(peek(other, 1), 5U);
  EXPECT_EQ(peek(space(), 2), 0U);
  EXPECT_EQ(peek(other, kHuge), 0U);  // not the object's
  EXPECT_EQ(figures(), "1 idle, 1 reserved");
  EXPECT_FALSE((*made)->has_page(PageIndex(kHuge)));
  expect_clean_audit();
  (*made)->punch(PageIndex(0), PageIndex(kHuge - 1));
  EXPECT_EQ(peek(space(), 1), 0U);
  EXPECT_EQ(peek(other, 2), 6U) << "private copies stay";
  (*made)->drop_user();
}

// Rows: S1.17 R19
TEST_P(HugeSharing, PagesCanBeHeld) {
  set_pool(4);
  map_pages(space(), 0, 2 * kHuge, kPrivate);
  fill(space(), 0, 3);
  auto pinned = space()->hold(at(1), Access::kWrite, HoldKind::kPin);
  ASSERT_TRUE(pinned);
  std::uint64_t seen = 0;
  std::memcpy(&seen, pinned->contents(), sizeof seen);
  EXPECT_EQ(seen, 2U);
  const Space child = fork();
  expect_clean_audit();
  poke(space(), 1, 20);
  std::memcpy(&seen, pinned->contents(), sizeof seen);
  EXPECT_EQ(seen, 20U) << "the parent keeps the page";
  EXPECT_EQ(peek(child, 1), 2U);
  EXPECT_EQ(peek(child, 2), 3U);
  auto got = child->hold(at(2), Access::kRead, HoldKind::kGet);
  ASSERT_TRUE(got);
  poke(child, 2, 33);
  std::memcpy(&seen, got->contents(), sizeof seen);
  EXPECT_TRUE(seen == 3U || seen == 33U);
  pinned->release();
  got->release();
}

// Rows: S1.17 R19 R20 S0.40
TEST_P(HugeSharing, ForkLooksAtWhatIsHeldBelow) {
  set_pool(6);
  map_pages(space(), 0, 3 * kHuge, kPrivate);
  map_pages(space(), 3 * kHuge, kHuge, kShared);
  for (std::uint64_t n = 0; n < 4; ++n) poke(space(), n * kHuge, n + 1);
  ASSERT_TRUE(protect(space(), 2 * kHuge, kHuge, kRead));
  auto pinned = space()->hold(at(0), Access::kWrite, HoldKind::kPin);
  auto got = space()->hold(at(kHuge), Access::kRead, HoldKind::kGet);
  ASSERT_TRUE(pinned && got);
  for (std::uint64_t n = 1;; ++n) {
    memory().pool().fail_after(n);
    const auto child = space().fork();
    memory().pool().fail_after(0);
    expect_clean_audit();
    if (!child) continue;
    for (std::uint64_t page = 0; page < 4; ++page) EXPECT_EQ(peek(*child, page * kHuge), page + 1);
    poke(space(), kHuge, 20);
    std::uint64_t seen = 0;
    std::memcpy(&seen, got->contents(), sizeof seen);
    EXPECT_EQ(seen, 2U) << "who has got a page sees it as it was";
    EXPECT_EQ(peek(*child, kHuge), 2U);
    cpu().run(space());
    break;
  }
  got->release();
  pool().resize(4);
  EXPECT_EQ(figures(), "0 idle, 0 reserved");
  EXPECT_EQ(space().fork().error(), Errno::kNoMem) << "no page for the child's copy";
  EXPECT_EQ(peek(space(), 0), 1U);
  pinned->release();
}

}  // namespace
}  // namespace quire::test
