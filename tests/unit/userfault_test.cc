// Mappings whose faults somebody else resolves: pages supplied, pages guarded (userfaultfd).
#include "quire/space/hold.h"

#include <array>
#include <cstring>
#include <functional>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;
constexpr VmaFlags kMissing = VmaFlag::kAsksMissing, kGuarded = VmaFlag::kAsksGuarded;

/// Does what the test says when it is asked; otherwise refuses.
class Handler final : public FaultDelegate {
 public:
  void hold() override { ++holders; }
  void release() override { --holders; }
  Answer ask(const AskedFault& fault) override {
    asked.push_back(fault);
    return on_ask ? on_ask(fault) : Answer::kRefused;
  }
  std::vector<AskedFault> asked;
  std::function<Answer(const AskedFault&)> on_ask;
  int holders = 0;
};

class Userfault : public EveryMode {
 protected:
  static constexpr MapStyle kShared{.flags = uapi::kMapShared};

  void TearDown() override {
    MachineTest::TearDown();
    EXPECT_EQ(handler_.holders, 0);
    EXPECT_EQ(other_.holders, 0);
  }
  [[nodiscard]] VirtRange pages(std::uint64_t first, std::uint64_t count) { return VirtRange(at(first), PageCount(count).bytes()); }
  void watch(const Space& where, std::uint64_t first, std::uint64_t count, VmaFlags flags) {
    ASSERT_TRUE(where->register_handler(pages(first, count), handler_, flags).has_value());
  }
  [[nodiscard]] static Errno error(const Result<void>& result) { return result ? Errno{0} : result.error(); }
  [[nodiscard]] Errno supply(const Space& where, std::uint64_t page, std::uint64_t value, Guarded guarded = Guarded::kNo) {
    std::array<std::uint64_t, kPageSize / sizeof(std::uint64_t)> contents{};
    contents[0] = value;
    return error(where->supply(at(page), std::as_bytes(std::span(contents)), guarded));
  }
  [[nodiscard]] Errno guard(const Space& where, std::uint64_t first, std::uint64_t count, Guarded guarded = Guarded::kYes,
                            Unpopulated unpopulated = Unpopulated::kLeft) {
    return error(where->guard(pages(first, count), guarded, unpopulated));
  }
  [[nodiscard]] bool asks(const Space& where, std::uint64_t page, Access access) {
    const std::size_t before = handler_.asked.size();
    const FaultOutcome result = where->fault(at(page), access);
    EXPECT_EQ(result == FaultOutcome::kBusError, handler_.asked.size() != before) << page;
    return result == FaultOutcome::kBusError;
  }
  Handler handler_, other_;
};
QUIRE_IN_EVERY_MODE(Userfault);

// Rows: S0.62
TEST_P(Userfault, AsksForEachPageThatIsNotThere) {
  map("AAAA");
  fill(space(), 0, 1);
  watch(space(), 0, 4, kMissing);
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_TRUE(asks(space(), 1, Access::kRead));
  EXPECT_TRUE(asks(space(), 2, Access::kWrite));
  ASSERT_EQ(handler_.asked.size(), 2U);
  EXPECT_EQ(handler_.asked[0].address, at(1));
  EXPECT_EQ(handler_.asked[0].access, Access::kRead);
  EXPECT_EQ(handler_.asked[1].access, Access::kWrite);
  EXPECT_EQ(handler_.asked[1].reason, AskedFault::Reason::kMissing);
  handler_.on_ask = [&](const AskedFault&) {
    EXPECT_EQ(supply(space(), 3, 33), Errno{0});
    return FaultDelegate::Answer::kTryAgain;
  };
  EXPECT_EQ(peek(space(), 3), 33U);
  EXPECT_EQ(supply(space(), 3, 34), Errno::kExist);
  poke(space(), 3, 35);
  EXPECT_EQ(peek(space(), 3), 35U);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 2U);
}

// Rows: S0.62
TEST_P(Userfault, SuppliesZerosOnce) {
  map("AA");
  watch(space(), 0, 2, kMissing);
  EXPECT_EQ(error(space()->supply(at(0), {}, Guarded::kNo)), Errno{0});
  EXPECT_EQ(error(space()->supply(at(0), {}, Guarded::kNo)), Errno::kExist);
  EXPECT_EQ(peek(space(), 0), 0U);
  poke(space(), 0, 5);
  EXPECT_EQ(peek(space(), 0), 5U);
  ASSERT_TRUE(advise(space(), 0, 1, uapi::kMadvDontNeed));
  EXPECT_TRUE(asks(space(), 0, Access::kRead)) << "what is dropped is missing again";
}

// Rows: S0.62
TEST_P(Userfault, AnswersAsLinuxWhatCannotBe) {
  map("AABB.CC");
  ASSERT_TRUE(unmap(space(), 2, 2));
  EXPECT_EQ(error(space()->register_handler(pages(2, 2), handler_, kMissing)), Errno::kInval) << "nothing there";
  EXPECT_EQ(supply(space(), 0, 1), Errno::kNoEnt);
  watch(space(), 0, 7, kMissing);
  EXPECT_EQ(error(space()->register_handler(pages(1, 1), other_, kMissing)), Errno::kBusy);
  EXPECT_EQ(supply(space(), 2, 1), Errno::kNoEnt);
  EXPECT_EQ(supply(space(), 0, 1, Guarded::kYes), Errno::kInval);
  EXPECT_EQ(guard(space(), 0, 1), Errno::kNoEnt);
  EXPECT_EQ(error(space()->unregister_handler(pages(0, 1), other_)), Errno::kInval);
  EXPECT_EQ(error(space()->unregister_handler(pages(0, 7), handler_)), Errno{0});
  EXPECT_EQ(peek(space(), 1), 0U);
  EXPECT_EQ(peek(space(), 6), 0U);
}

// Rows: S0.62 X5
TEST_P(Userfault, KnowsNoZeroTablesWherePagesAreMissing) {
  map_pages(space(), 0, kSpan * 2);
  EXPECT_EQ(peek(space(), 5), 0U);
  watch(space(), 0, kSpan, kMissing);
  EXPECT_TRUE(asks(space(), 6, Access::kRead));
  EXPECT_EQ(peek(space(), kSpan + 6), 0U);
  EXPECT_EQ(supply(space(), 6, 7), Errno{0});
  EXPECT_EQ(peek(space(), 6), 7U);
}

// Rows: S0.62
TEST_P(Userfault, AsksBeforeAGuardedPageIsWritten) {
  map("AAAA");
  fill(space(), 0, 3);
  watch(space(), 0, 4, kGuarded);
  EXPECT_EQ(guard(space(), 0, 4), Errno{0});
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_TRUE(asks(space(), 1, Access::kWrite));
  EXPECT_EQ(handler_.asked[0].reason, AskedFault::Reason::kGuarded);
  EXPECT_FALSE(asks(space(), 3, Access::kWrite)) << "nothing was there to be guarded";
  EXPECT_EQ(guard(space(), 1, 1, Guarded::kNo), Errno{0});
  poke(space(), 1, 11);
  EXPECT_TRUE(asks(space(), 0, Access::kWrite));
  EXPECT_TRUE(asks(space(), 2, Access::kWrite));
  ASSERT_TRUE(protect(space(), 0, 3, uapi::kProtRead));
  ASSERT_TRUE(protect(space(), 0, 3, uapi::kProtRead | uapi::kProtWrite));
  EXPECT_TRUE(asks(space(), 2, Access::kWrite)) << "mprotect gives no right that the guard forbids";
}

// Rows: S0.62 X5
TEST_P(Userfault, GuardsZerosThatWereOnlyRead) {
  map_pages(space(), 0, kSpan * 2);
  EXPECT_EQ(peek(space(), 5), 0U);
  watch(space(), 0, kSpan, kGuarded);
  EXPECT_EQ(guard(space(), 0, kSpan), Errno{0});
  EXPECT_TRUE(asks(space(), 5, Access::kWrite));
  poke(space(), kSpan + 1, 3);
  EXPECT_EQ(guard(space(), 0, kSpan, Guarded::kNo), Errno{0});
  poke(space(), 5, 6);
  EXPECT_EQ(peek(space(), 5), 6U);
}

// Rows: S0.62
TEST_P(Userfault, MarksWhatIsNotThereYet) {
  map_pages(space(), 0, kSpan * 2);
  watch(space(), 0, kSpan * 2, kGuarded);
  EXPECT_EQ(guard(space(), 3, kSpan, Guarded::kYes, Unpopulated::kMarked), Errno{0});
  EXPECT_EQ(peek(space(), 4), 0U);
  EXPECT_TRUE(asks(space(), 4, Access::kWrite)) << "read before";
  EXPECT_EQ(space()->fault(at(5), Access::kWrite), FaultOutcome::kMinor);
  EXPECT_TRUE(asks(space(), 5, Access::kWrite)) << "the page has come, guarded";
  EXPECT_EQ(guard(space(), 5, 2, Guarded::kNo), Errno{0});
  poke(space(), 5, 6);
  poke(space(), 6, 7);
  poke(space(), 1, 2);
  poke(space(), kSpan + 3, 4);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 4U);
}

// Rows: S0.16 S0.41 S0.62
TEST_P(Userfault, GuardsForOneSpaceAlone) {
  map_pages(space(), 0, kSpan * 2);
  fill(space(), 0, 8);
  const Space child = fork();
  watch(space(), 0, kSpan, kGuarded);
  EXPECT_EQ(guard(space(), 0, 8), Errno{0});
  expect_clean_audit();
  poke(child, 1, 100);
  EXPECT_TRUE(asks(space(), 1, Access::kWrite));
  EXPECT_EQ(peek(space(), 1), 2U);
  const Space later = fork();
  expect_clean_audit();
  EXPECT_FALSE(asks(later, 2, Access::kWrite));
  EXPECT_TRUE(asks(space(), 2, Access::kWrite)) << "the parent's guards survive";
  EXPECT_TRUE(asks(space(), 3, Access::kWrite));
  EXPECT_FALSE(later->find(at(0))->flags.has_any(kAskingFlags));
  EXPECT_EQ(handler_.holders > 0, true);
}

// Rows: S0.23
TEST_P(Userfault, IsForkedWholeOrNotAtAll) {
  map_pages(space(), 0, kSpan);
  fill(space(), 0, 8);
  watch(space(), 0, kSpan, kGuarded);
  EXPECT_EQ(guard(space(), 0, 8), Errno{0});
  bool forked = false;
  for (std::uint64_t nth = 1; !forked; ++nth) {
    memory().pool().fail_after(nth);
    forked = space().fork().has_value();
    memory().pool().fail_after(0);
    expect_clean_audit();
  }
  EXPECT_TRUE(asks(space(), 2, Access::kWrite));
  EXPECT_EQ(peek(space(), 3), 4U);
}

// Rows: S0.61 S0.62
TEST_P(Userfault, LeavesBehindWhatIsMoved) {
  map_pages(space(), 0, kSpan);
  fill(space(), 0, 4);
  watch(space(), 0, 8, kGuarded | kMissing);
  EXPECT_EQ(guard(space(), 0, 8, Guarded::kYes, Unpopulated::kMarked), Errno{0});
  ASSERT_TRUE(space()->mremap({.old_address = at(0), .old_length = PageCount(8).bytes(), .new_length = PageCount(8).bytes(),
                               .flags = uapi::kMremapMayMove | uapi::kMremapFixed, .new_address = at(kSpan * 3 + 1)}));
  expect_clean_audit();
  poke(space(), kSpan * 3 + 2, 20);
  EXPECT_EQ(peek(space(), kSpan * 3 + 7), 0U);
  EXPECT_TRUE(handler_.asked.empty());
}

// Rows: S4.38 X12
TEST_P(Userfault, AsksForPagesOfSharedMemoryThatNobodyHasMade) {
  map_pages(space(), 0, kSpan, kShared);
  const Space child = fork();
  watch(space(), 0, kSpan, kMissing);
  EXPECT_TRUE(asks(space(), 1, Access::kRead));
  poke(child, 1, 8);
  EXPECT_EQ(peek(space(), 1), 8U) << "no need to ask for what is there";
  EXPECT_EQ(supply(space(), 1, 9), Errno::kExist);
  EXPECT_EQ(supply(space(), 2, 9), Errno{0});
  EXPECT_EQ(peek(child, 2), 9U);
  poke(child, 2, 10);
  EXPECT_EQ(peek(space(), 2), 10U);
}

// Rows: S4.38 X12
TEST_P(Userfault, GuardsSharedMemoryForOneWhoMapsIt) {
  map_pages(space(), 0, kSpan, kShared);
  const Space child = fork();
  fill(space(), 0, 4);
  poke(child, 0, 5);
  watch(space(), 0, kSpan, kGuarded);
  EXPECT_EQ(guard(space(), 0, 8), Errno{0});
  expect_clean_audit();
  poke(child, 1, 50);
  EXPECT_EQ(peek(space(), 1), 50U);
  EXPECT_TRUE(asks(space(), 1, Access::kWrite));
  EXPECT_EQ(space()->fault(at(6), Access::kRead), FaultOutcome::kMinor);
  EXPECT_TRUE(asks(space(), 6, Access::kWrite)) << "made since";
  EXPECT_EQ(supply(space(), 7, 3, Guarded::kYes), Errno{0});
  EXPECT_TRUE(asks(space(), 7, Access::kWrite));
  EXPECT_EQ(error(space()->unregister_handler(pages(0, kSpan), handler_)), Errno{0});
  poke(space(), 1, 51);
  EXPECT_EQ(peek(child, 1), 51U);
}

// Rows: S1.13 R21
TEST_P(Userfault, AsksForWhoeverAccessesFromOutside) {
  map("AA");
  watch(space(), 0, 2, kMissing | kGuarded);
  std::uint64_t value = 0;
  const auto bytes = std::as_writable_bytes(std::span(&value, 1));
  EXPECT_EQ(space()->read(at(0), bytes).error(), Errno::kFault);
  handler_.on_ask = [&](const AskedFault& fault) {
    if (fault.reason == AskedFault::Reason::kMissing) {
      EXPECT_EQ(supply(space(), 0, 12, Guarded::kYes), Errno{0});
    } else {
      EXPECT_EQ(guard(space(), 0, 1, Guarded::kNo), Errno{0});
    }
    return FaultDelegate::Answer::kTryAgain;
  };
  ASSERT_TRUE(space()->read(at(0), bytes));
  EXPECT_EQ(value, 12U);
  ++value;
  ASSERT_TRUE(space()->poke(at(0), bytes));
  EXPECT_EQ(peek(space(), 0), 13U);
  EXPECT_EQ(handler_.asked.size(), 3U);
}

// Rows: S0.62
TEST_P(Userfault, IsAsItWasWhenItsHandlerGoes) {
  map("AAAA");
  fill(space(), 0, 2);
  watch(space(), 0, 4, kMissing | kGuarded);
  EXPECT_EQ(guard(space(), 0, 4), Errno{0});
  const std::uint64_t before = handler_.changes();
  space()->drop_handler(handler_);
  EXPECT_NE(handler_.changes(), before);
  EXPECT_EQ(handler_.holders, 0);
  poke(space(), 1, 5);
  EXPECT_EQ(peek(space(), 3), 0U);
  EXPECT_TRUE(handler_.asked.empty());
  EXPECT_EQ(picture(space(), 4), "AAAA");
}

// Rows: I12
TEST_P(Userfault, GoesOnWithoutAHandlerThatCouldNotBeForgotten) {
  map("AAAA");
  fill(space(), 0, 2);
  watch(space(), 1, 2, kMissing | kGuarded);
  EXPECT_EQ(guard(space(), 1, 2), Errno{0});
  memory().pool().fail_after(1);
  space()->drop_handler(handler_);
  memory().pool().fail_after(0);
  EXPECT_TRUE(handler_.is_retired());
  poke(space(), 1, 5);
  EXPECT_EQ(peek(space(), 2), 0U);
  EXPECT_TRUE(handler_.asked.empty());
  ASSERT_TRUE(space()->register_handler(pages(0, 4), other_, kMissing)) << "another may take its place";
  EXPECT_EQ(handler_.holders, 0);
}

}  // namespace
}  // namespace quire::test
