// Memory fails under the processes that use it.
#include "quire/rmap/poison.h"

#include "quire/rmap/compact.h"
#include "quire/rmap/migrate.h"
#include "quire/space/hold.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

class Poison : public EveryMode {
 protected:
  [[nodiscard]] Pfn pfn_of(const Space& where, std::uint64_t page) {
    return path_to(*where, at(page)).leaf;
  }
};
QUIRE_IN_EVERY_MODE(Poison);

// Rows: S1.6 S4.37
TEST_P(Poison, GivesABusErrorToAllWhoShareThePage) {
  map("AAA");
  fill(space(), 0, 3);
  std::vector<Space> children;
  for (int n = 0; n < 3; ++n) children.push_back(fork());
  poke(children[1], 0, 9);  // has tables of its own
  poke(children[2], 1, 9);  // and this one the page, too
  Cpu& sibling = new_cpu();
  sibling.run(children[0]);
  EXPECT_EQ(sibling.load<std::uint64_t>(at(1)).value_or(0), 2U);
  const std::uint64_t rss = space()->usage().rss().raw();
  ASSERT_TRUE(poison_frame(memory(), pfn_of(space(), 1)));
  expect_clean_audit();
  EXPECT_EQ(outcome(space(), 1, Access::kRead), FaultOutcome::kBusError);
  EXPECT_EQ(outcome(children[1], 1, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_FALSE(sibling.load<std::uint64_t>(at(1))) << "with what it had cached";
  EXPECT_EQ(peek(children[2], 1), 9U);
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_EQ(peek(space(), 2), 3U);
  EXPECT_EQ(space()->usage().rss().raw(), rss) << "counted until it is unmapped";
  EXPECT_EQ(space()->hold(at(1), Access::kRead, HoldKind::kGet).error(), Errno::kFault);
  const Space later = fork();
  EXPECT_EQ(outcome(later, 1, Access::kRead), FaultOutcome::kBusError);
  ASSERT_TRUE(advise(space(), 1, 1, uapi::kMadvDontNeed));
  EXPECT_EQ(peek(space(), 1), 0U) << "mapped anew";
  EXPECT_EQ(memory().pool().failed_frames().raw(), 1U);
  sibling.stop();
}

TEST_P(Poison, StaysWithTheSharedObject) {
  map("SS", {.flags = uapi::kMapShared});
  fill(space(), 0, 1);
  const Space child = fork();
  poke(child, 1, 1);
  ASSERT_TRUE(poison_frame(memory(), pfn_of(space(), 0)));
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kBusError);
  ASSERT_TRUE(advise(space(), 0, 1, uapi::kMadvDontNeed));
  EXPECT_EQ(outcome(space(), 0, Access::kWrite), FaultOutcome::kBusError)
      << "the object has no other page";
  EXPECT_EQ(outcome(child, 0, Access::kRead), FaultOutcome::kBusError);
  EXPECT_EQ(peek(space(), 1), 1U);
}

TEST_P(Poison, KeepsAFrameThatIsHeldUntilItIsLetGo) {
  map("A");
  fill(space(), 0, 1);
  auto pin = space()->hold(at(0), Access::kWrite, HoldKind::kPin);
  ASSERT_TRUE(pin.has_value());
  const Pfn failed = pin->pfn();
  ASSERT_TRUE(poison_frame(memory(), failed));
  EXPECT_EQ(memory().pool().failed_frames().raw(), 0U);
  EXPECT_EQ(migrate_frame(memory(), failed).error(), Errno::kBusy);
  pin->release();
  EXPECT_EQ(memory().pool().failed_frames().raw(), 1U);
  EXPECT_TRUE(memory().frame(failed).kind == FrameKind::kFailed);
}

// Rows: S2.14
TEST_P(Poison, IsDoneOnceAndRefusedWhereThereIsNothingToFail) {
  map("AA", {.flags = uapi::kMapShared});
  fill(space(), 0, 2);
  const Pfn failed = pfn_of(space(), 0);
  ASSERT_TRUE(poison_frame(memory(), failed));
  ASSERT_TRUE(poison_frame(memory(), failed)) << "failed already";
  EXPECT_EQ(counter(Counter::kPoisoned), 1U);
  Frame* const held = memory().pool().take_or_null(FrameUse::kUser);
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(poison_frame(memory(), memory().pfn_of(*held)).error(), Errno::kBusy) << "somebody is about to use it";
  held->counts.store(Frame::kOneReference);
  EXPECT_EQ(poison_frame(memory(), memory().pfn_of(*held)).error(), Errno::kBusy) << "no page";
  held->counts.store(0);
  memory().pool().give(held);
  Frame& last = memory().frame(Pfn(machine().config().memory.raw() / kPageSize - 1));
  ASSERT_EQ(FrameKind(last.kind), FrameKind::kUntouched);
  EXPECT_EQ(poison_frame(memory(), memory().pfn_of(last)).error(), Errno::kInval);
}

TEST_P(Poison, TakesFreeFramesOutOfUse) {
  map("AA");
  fill(space(), 0, 2);
  const Pfn failed = pfn_of(space(), 0);
  const Pfn other = pfn_of(space(), 1);
  ASSERT_TRUE(advise(space(), 0, 2, uapi::kMadvDontNeed));
  ASSERT_TRUE(poison_frame(memory(), failed));
  memory().pool().sort_free();
  ASSERT_TRUE(poison_frame(memory(), other));
  ASSERT_TRUE(poison_frame(memory(), other)) << "said twice";
  expect_clean_audit();
  EXPECT_EQ(memory().pool().failed_frames().raw(), 2U);
  EXPECT_EQ(poison_frame(memory(), space()->tlb().root).error(), Errno::kBusy);
  EXPECT_EQ(poison_frame(memory(), memory().zero().frame()).error(), Errno::kBusy);
  EXPECT_EQ(poison_frame(memory(), Pfn(~std::uint64_t{0} >> 20)).error(), Errno::kInval);
  fill(space(), 0, 2);
  EXPECT_NE(pfn_of(space(), 0), failed);
}

TEST_P(Poison, SurvivesMovesProtectionAndCopies) {
  map_pages(space(), 0, 40);
  fill(space(), 0, 40);
  Space child = fork();
  for (std::uint64_t page = 0; page < 40; page += 3) {
    ASSERT_TRUE(poison_frame(memory(), pfn_of(space(), page)));
  }
  poke(child, 1, 5);
  ASSERT_TRUE(protect(child, 0, 20, uapi::kProtRead));
  MremapRequest request;
  request.old_address = at(0);
  request.old_length = request.new_length = PageCount(10).bytes();
  request.flags = uapi::kMremapMayMove | uapi::kMremapFixed;
  request.new_address = at(100);
  ASSERT_TRUE(child->mremap(request).has_value());
  expect_clean_audit();
  compact(memory());
  for (std::uint64_t page = 0; page < 10; ++page) {
    if (page % 3 == 0) {
      EXPECT_EQ(outcome(child, 100 + page, Access::kRead), FaultOutcome::kBusError);
    } else {
      EXPECT_EQ(peek(child, 100 + page), page == 1 ? 5 : page + 1);
    }
  }
  EXPECT_EQ(peek(space(), 1), 2U);
}

}  // namespace
}  // namespace quire::test
