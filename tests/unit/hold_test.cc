// Pages held from outside: got for a moment, pinned for a device, written by force.
#include "quire/space/hold.h"

#include <array>
#include <cstring>

#include "quire/rmap/migrate.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

/// A device that reads and writes pages it was given, without tables or TLBs.
class Device {
 public:
  void give(PageHold page) { pages_.push_back(std::move(page)); }
  void write(std::size_t n, std::uint64_t value) {
    std::memcpy(pages_[n].contents(), &value, sizeof value);
    pages_[n].mark_dirty();
  }
  [[nodiscard]] std::uint64_t read(std::size_t n) const {
    std::uint64_t value = 0;
    std::memcpy(&value, pages_[n].contents(), sizeof value);
    return value;
  }
  void release() { pages_.clear(); }

 private:
  std::vector<PageHold> pages_;
};

class Hold : public EveryMode {
 protected:
  [[nodiscard]] PageHold hold(const Space& where, std::uint64_t page, Access access, HoldKind kind) {
    auto held = where->hold(at(page), access, kind);
    EXPECT_TRUE(held.has_value()) << "errno " << static_cast<int>(held.error());
    return held ? std::move(*held) : PageHold();
  }
  [[nodiscard]] Pfn pfn_of(const Space& where, std::uint64_t page) {
    return path_to(*where, at(page)).leaf;
  }
  Device device_;
};
QUIRE_IN_EVERY_MODE(Hold);

// Rows: S1.7 S1.13
TEST_P(Hold, SharesAPinnedPageWithTheDevice) {
  map("AAA");
  fill(space(), 0, 3);
  device_.give(hold(space(), 1, Access::kWrite, HoldKind::kPin));
  device_.write(0, 70);
  EXPECT_EQ(peek(space(), 1), 70U);
  poke(space(), 1, 71);
  EXPECT_EQ(device_.read(0), 71U);
  expect_clean_audit();
  device_.release();
}

// Rows: I9 S1.17 S1.18 R19
TEST_P(Hold, LeavesAPinnedPageToTheParentWhenItForks) {
  map_pages(space(), 0, kSpan * 4);
  fill(space(), 0, 3);
  poke(space(), kSpan * 2, 5);
  for (const std::uint64_t page : {std::uint64_t{1}, kSpan * 2}) {
    device_.give(hold(space(), page, Access::kWrite, HoldKind::kPin));
  }
  const Pfn pinned = pfn_of(space(), 1);
  std::vector<Space> children;
  for (std::uint64_t n = 0; n < 3; ++n) {
    children.push_back(fork());
    expect_clean_audit();
    EXPECT_EQ(pfn_of(space(), 1), pinned);
    EXPECT_NE(pfn_of(children.back(), 1), pinned);
    poke(space(), 1, 100 + n);
    EXPECT_EQ(device_.read(0), 100 + n) << "the device sees the parent's stores";
    device_.write(0, 200 + n);
    EXPECT_EQ(peek(space(), 1), 200 + n) << "and the parent the device's";
    EXPECT_EQ(peek(children.back(), 1), n == 0 ? 2U : 200 + n - 1) << "the child got a copy then";
    EXPECT_EQ(peek(children.back(), kSpan * 2), 5U);
    poke(children.back(), 1, 9);
    EXPECT_EQ(device_.read(0), 200 + n);
  }
  device_.release();
  expect_clean_audit();
  const Space last = fork();
  EXPECT_EQ(pfn_of(last, 1), pinned) << "without a pin the page is shared as any other";
}

// Rows: S1.17 X10
TEST_P(Hold, SeparatesThePinnedPathOnly) {
  for (std::uint64_t n = 0; n < 8; ++n) {
    map_pages(space(), n * kSpan * kSpan, kSpan);
    map_pages(space(), n * kSpan * kSpan + kSpan, 1);
    fill(space(), n * kSpan * kSpan, 2);
    poke(space(), n * kSpan * kSpan + kSpan, 1);
  }
  device_.give(hold(space(), 1, Access::kRead, HoldKind::kPin));
  const std::uint64_t tables = counter(Counter::kTableAlloc);
  const std::uint64_t frames = counter(Counter::kFrameAlloc);
  const Space child = fork();
  const unsigned levels = memory().geometry().levels();
  if (GetParam() == ForkMode::kTree) {
    EXPECT_EQ(counter(Counter::kTableAlloc) - tables, levels) << "the root and one table a level";
    EXPECT_LE(counter(Counter::kFrameAlloc) - frames, levels + 3) << "one page, some small objects";
  }
  EXPECT_EQ(counter(Counter::kForkCopyPinned), 1U);
  device_.release();
}

// Rows: S1.14 S3.32
TEST_P(Hold, ReadsThroughAPinWhatTheProgramWritesLater) {
  map("AAA");
  fill(space(), 0, 1);
  const Space child = fork();
  device_.give(hold(space(), 0, Access::kRead, HoldKind::kPin));  // shared with the child until now
  EXPECT_EQ(peek(space(), 1), 0U);
  device_.give(hold(space(), 1, Access::kRead, HoldKind::kPin));  // was the zero page
  device_.give(hold(space(), 2, Access::kRead, HoldKind::kPin));  // was not there at all
  expect_clean_audit();
  for (std::uint64_t page = 0; page < 3; ++page) {
    poke(space(), page, 50 + page);
    EXPECT_EQ(device_.read(page), 50 + page);
  }
  poke(child, 0, 9);
  EXPECT_EQ(device_.read(0), 50U);
  device_.release();
}

// Rows: S1.14 S1.4
TEST_P(Hold, PinsReadOnlyMemoryTwiceAndItStaysOnePage) {
  map("A");
  fill(space(), 0, 1);
  const Space child = fork();
  ASSERT_TRUE(protect(space(), 0, 1, uapi::kProtRead));
  EXPECT_EQ(space()->hold(at(0), Access::kWrite, HoldKind::kPin).error(), Errno::kFault);
  device_.give(hold(space(), 0, Access::kRead, HoldKind::kPin));
  device_.give(hold(space(), 0, Access::kRead, HoldKind::kPin));
  EXPECT_EQ(outcome(space(), 0, Access::kWrite), FaultOutcome::kAccessError);
  ASSERT_TRUE(protect(space(), 0, 1, uapi::kProtRead | uapi::kProtWrite));
  poke(space(), 0, 7);
  EXPECT_EQ(device_.read(0), 7U);
  EXPECT_EQ(device_.read(1), 7U);
  device_.release();
}

// Rows: R20 S1.14
TEST_P(Hold, ShowsAReaderNoStoreOfAnotherProcess) {
  map("AA");
  fill(space(), 0, 2);
  Space child = fork();
  // The child gets the page, as vmsplice does, and goes; the parent is alone with it then.
  const PageHold page = hold(child, 0, Access::kRead, HoldKind::kGet);
  child.reset();
  poke(space(), 0, 4711);
  EXPECT_EQ(*reinterpret_cast<const std::uint64_t*>(page.contents()), 1U);
}

// Rows: R20
TEST_P(Hold, ShowsAReaderNoStoreOfTheChildEither) {
  map("AA");
  fill(space(), 0, 2);
  const PageHold page = hold(space(), 0, Access::kRead, HoldKind::kGet);  // exclusive, and writable
  poke(space(), 0, 5);
  EXPECT_EQ(*reinterpret_cast<const std::uint64_t*>(page.contents()), 5U) << "its own";
  const Space child = fork();
  cpu().stop();
  space().reset();
  poke(child, 0, 4711);
  EXPECT_EQ(*reinterpret_cast<const std::uint64_t*>(page.contents()), 5U);
}

// Rows: S1.7
TEST_P(Hold, PinsAPageThatItsOwnerHasGotBefore) {
  map("A");
  fill(space(), 0, 1);
  const PageHold got = hold(space(), 0, Access::kRead, HoldKind::kGet);
  device_.give(hold(space(), 0, Access::kWrite, HoldKind::kPin));
  device_.give(hold(space(), 0, Access::kRead, HoldKind::kPin));
  const Space child = fork();
  poke(space(), 0, 6);
  EXPECT_EQ(device_.read(0), 6U);
  EXPECT_EQ(device_.read(1), 6U);
  EXPECT_EQ(peek(child, 0), 1U);
  expect_clean_audit();
  device_.release();
}

// Rows: S3.19 S3.20
TEST_P(Hold, CountsNoHoldOfTheZeroPage) {
  map("AA");
  const std::uint64_t before = memory().frame(memory().zero().frame()).counts.load();
  for (int n = 0; n < 10'000; ++n) {
    const PageHold zero = hold(space(), 0, Access::kRead, HoldKind::kGet);
    ASSERT_TRUE(zero.is_zero());
  }
  EXPECT_EQ(memory().frame(memory().zero().frame()).counts.load(), before);
}

// Rows: S1.13 S3.21
TEST_P(Hold, AnswersErrnoWhereNothingCanBeHeld) {
  map("A.");
  EXPECT_EQ(space()->hold(at(1), Access::kRead, HoldKind::kGet).error(), Errno::kFault);
  ASSERT_TRUE(protect(space(), 0, 1, 0));
  EXPECT_EQ(space()->hold(at(0), Access::kRead, HoldKind::kPin).error(), Errno::kFault);
  ASSERT_TRUE(protect(space(), 0, 1, uapi::kProtRead | uapi::kProtWrite));
  std::vector<PageHold> pins;
  for (;;) {
    auto pin = space()->hold(at(0), Access::kWrite, HoldKind::kPin);
    if (!pin) {
      EXPECT_EQ(pin.error(), Errno::kAgain) << "S3.19: a count cannot be made to overflow";
      break;
    }
    pins.push_back(std::move(*pin));
    ASSERT_LT(pins.size(), 10'000U);
  }
}

// Rows: S1.18 S4.13 I12
TEST_P(Hold, FailsAForkWholeWhicheverAllocationFails) {
  map_pages(space(), 0, kSpan);
  fill(space(), 0, 4);
  for (const std::uint64_t page : {0U, 2U}) device_.give(hold(space(), page, Access::kWrite, HoldKind::kPin));
  unsigned failures = 0;
  for (std::uint64_t nth = 1; nth < 40; ++nth) {
    memory().pool().fail_after(nth);
    auto child = space().fork();
    const bool injected = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    expect_clean_audit();
    if (!child) {
      EXPECT_EQ(child.error(), Errno::kNoMem);
      ++failures;
    }
    if (!injected) break;
    poke(space(), 0, nth);
    EXPECT_EQ(device_.read(0), nth);
  }
  EXPECT_GE(failures, 5U);
  device_.release();
}

TEST_P(Hold, FailsWholeWhicheverAllocationFails) {
  map_pages(space(), 0, kSpan);
  fill(space(), 0, 2);
  const Space child = fork();
  for (std::uint64_t nth = 1; nth < 20; ++nth) {
    memory().pool().fail_after(nth);
    auto pin = child->hold(at(1), Access::kRead, HoldKind::kPin);
    memory().pool().fail_after(0);
    expect_clean_audit();
    if (pin) break;
    EXPECT_EQ(pin.error(), Errno::kNoMem);
    EXPECT_EQ(peek(child, 1), 2U);
  }
}

// Rows: X10 R19 S0.61
TEST_P(Hold, KeepsThePinKnownWhenItsPageOrTableMoves) {
  map_pages(space(), 0, kSpan);
  fill(space(), 0, 3);
  device_.give(hold(space(), 1, Access::kWrite, HoldKind::kPin));
  const std::uint64_t far = kSpan * kSpan * 3;  // below other tables
  MremapRequest whole;
  whole.old_address = at(0);
  whole.old_length = whole.new_length = PageCount(kSpan).bytes();
  whole.flags = uapi::kMremapMayMove | uapi::kMremapFixed;
  whole.new_address = at(far);
  ASSERT_TRUE(space()->mremap(whole).has_value());
  expect_clean_audit();
  MremapRequest some = whole;
  some.old_address = at(far);
  some.old_length = some.new_length = PageCount(3).bytes();
  some.new_address = at(7);
  ASSERT_TRUE(space()->mremap(some).has_value());
  expect_clean_audit();
  const Space child = fork();
  expect_clean_audit();
  poke(space(), 8, 33);
  EXPECT_EQ(device_.read(0), 33U);
  EXPECT_EQ(peek(child, 8), 2U);
  device_.release();
}

TEST_P(Hold, KeepsAPinnedPageWhereItIsAndAfterItsMappingIsGone) {
  map("AA");
  fill(space(), 0, 2);
  device_.give(hold(space(), 0, Access::kWrite, HoldKind::kPin));
  EXPECT_EQ(migrate_frame(memory(), pfn_of(space(), 0)).error(), Errno::kBusy);
  ASSERT_TRUE(advise(space(), 0, 1, uapi::kMadvDontNeed));
  EXPECT_EQ(peek(space(), 0), 0U);
  device_.write(0, 3);
  EXPECT_EQ(peek(space(), 0), 0U);
  device_.release();
}

// Rows: S0.14
TEST_P(Hold, PinsSharedMemoryAsItIs) {
  map("S", {.flags = uapi::kMapShared});
  fill(space(), 0, 1);
  const Space child = fork();
  device_.give(hold(child, 0, Access::kWrite, HoldKind::kPin));
  const Space grandchild = fork(child);
  device_.write(0, 8);
  EXPECT_EQ(peek(space(), 0), 8U);
  EXPECT_EQ(peek(child, 0), 8U);
  EXPECT_EQ(peek(grandchild, 0), 8U);
  expect_clean_audit();
  device_.release();
}

// Rows: R21
TEST_P(Hold, WritesByForceIntoOnesOwnCopyOnly) {
  map("AB");
  fill(space(), 0, 1);
  Space child = fork();
  ASSERT_TRUE(protect(child, 0, 1, uapi::kProtRead));
  ASSERT_TRUE(protect(child, 1, 1, 0));
  const std::uint64_t value = 4711;
  const auto bytes = std::as_bytes(std::span(&value, 1));
  ASSERT_TRUE(child->poke(at(0), bytes).has_value());
  ASSERT_TRUE(child->poke(at(1), bytes).has_value());
  EXPECT_EQ(peek(child, 0), 4711U);
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_EQ(peek(space(), 1), 0U);
  EXPECT_EQ(outcome(child, 0, Access::kWrite), FaultOutcome::kAccessError) << "no right was given";
  EXPECT_EQ(outcome(child, 1, Access::kRead), FaultOutcome::kAccessError);
  map(space(), "..S", {.prot = uapi::kProtRead, .flags = uapi::kMapShared});
  EXPECT_EQ(space()->poke(at(2), bytes).error(), Errno::kFault);
  EXPECT_EQ(space()->poke(at(5), bytes).error(), Errno::kFault);
}

// Rows: R21
TEST_P(Hold, ReadsByForceWhatTheProgramMayNot) {
  map("AABB");
  map(space(), "....SS", {.flags = uapi::kMapShared});
  fill(space(), 0, 2);
  poke(space(), 4, 44);
  for (const std::uint64_t page : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{4}, std::uint64_t{5}}) {
    ASSERT_TRUE(protect(space(), page, 1, 0));
  }
  Space child = fork();
  const auto anon_pages = [&] { return space()->usage().rss_anon; };
  const PageCount before = anon_pages();
  const auto read_by_force = [&](const Space& where, VirtAddr address) {
    std::uint64_t value = ~std::uint64_t{0};
    const auto result = where->peek(address, std::as_writable_bytes(std::span(&value, 1)));
    return result ? Result<std::uint64_t>(value) : fail(result.error());
  };
  for (Space* where : {&space(), &child}) {
    EXPECT_EQ(read_by_force(*where, at(0)), 1U) << "which the program may read";
    EXPECT_EQ(read_by_force(*where, at(1)), 2U);
    EXPECT_EQ(read_by_force(*where, at(2)), 0U) << "never touched";
    EXPECT_EQ(read_by_force(*where, at(4)), 44U) << "the object's";
    EXPECT_EQ(read_by_force(*where, at(5)), 0U);
    EXPECT_EQ(read_by_force(*where, at(6)).error(), Errno::kFault);
  }
  EXPECT_EQ(anon_pages(), before) << "nothing was made for it";
  EXPECT_EQ(outcome(space(), 1, Access::kRead), FaultOutcome::kAccessError) << "no right was given";

  std::array<std::byte, 3 * kPageSize> all{};
  EXPECT_EQ(space()->peek(at(0) + ByteCount(100), all), ByteCount(all.size())) << "over all of them";
  EXPECT_EQ(space()->peek(at(5) + ByteCount(100), all), ByteCount(kPageSize - 100)) << "up to the end of what is mapped";
}

}  // namespace
}  // namespace quire::test
