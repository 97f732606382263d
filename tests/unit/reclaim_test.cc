// Pages of files that are given back although they are mapped.
#include <optional>
#include <random>
#include <vector>

#include "quire/rmap/rmap.h"
#include "quire/space/hold.h"
#include "support/file.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kRead = uapi::kProtRead, kReadWrite = uapi::kProtRead | uapi::kProtWrite;

class Reclaim : public WithFile<EveryMode> {
 protected:
  static constexpr std::uint64_t kSpan = 512;

  void map_file(const Space& where, std::uint64_t column, std::uint32_t flags, std::uint64_t pages = kPages,
                std::uint32_t prot = kReadWrite) {
    MmapRequest request;
    request.address = at(column);
    request.length = PageCount(pages).bytes();
    request.prot = prot;
    request.flags = flags | uapi::kMapFixed;
    request.object = &object(pages);
    ASSERT_TRUE(where->mmap(request));
  }
  void read_all(const Space& where, std::uint64_t column, std::uint64_t pages = kPages) {
    for (std::uint64_t n = 0; n < pages; ++n) EXPECT_EQ(peek(where, column + n), TestSource::value_of(n));
  }
  std::uint64_t reclaim(std::uint64_t wanted = ~std::uint64_t{0}) { return object().reclaim(PageCount(wanted)).raw(); }
};
QUIRE_IN_EVERY_MODE(Reclaim);

// Rows: S4.17
TEST_P(Reclaim, TakesPagesFromAllWhoMapThem) {
  map_file(space(), 0, uapi::kMapShared);
  map_file(space(), 10, uapi::kMapPrivate);
  read_all(space(), 0);
  read_all(space(), 10);
  const Space child = fork();
  EXPECT_EQ(reclaim(), kPages);
  EXPECT_EQ(object().resident().raw(), 0U);
  EXPECT_EQ(space()->usage().rss_file.raw(), 0U);
  EXPECT_EQ(child->usage().rss_file.raw(), 0U);
  expect_clean_audit();
  read_all(child, 10);
  read_all(space(), 0);
}

TEST_P(Reclaim, LeavesWhatIsNowhereElse) {
  map_file(space(), 0, uapi::kMapShared);
  map_file(space(), 10, uapi::kMapPrivate);
  read_all(space(), 0);
  poke(space(), 2, 72);
  poke(space(), 13, 83);
  EXPECT_EQ(reclaim(), kPages - 1);
  EXPECT_EQ(peek(space(), 2), 72U);
  EXPECT_EQ(peek(space(), 13), 83U);
  EXPECT_EQ(peek(space(), 3), TestSource::value_of(3));
  ASSERT_TRUE(object().write_back(PageIndex(0), PageIndex(kPages)));
  EXPECT_EQ(reclaim(), 2U);
  EXPECT_EQ(peek(space(), 2), 72U) << "read again from where it was stored";
}

TEST_P(Reclaim, PassesByOnceWhatWasUsed) {
  map_file(space(), 0, uapi::kMapShared);
  read_all(space(), 0);
  EXPECT_EQ(reclaim(1), kPages) << "all have been used: the hand comes round to the first, and takes what lies together";
  read_all(space(), 0);
  for (std::uint64_t n = 0; n < kPages; ++n) {
    Frame* const page = object().page_or_null(PageIndex(n));
    ASSERT_NE(page, nullptr);
    const unsigned young = n == 5 ? 1U : test_and_clear_young(memory(), *page);
    EXPECT_EQ(young, 1U);
    object().put_page(*page);
  }
  EXPECT_EQ(reclaim(1), kPages - 1);
  EXPECT_TRUE(object().has_page(PageIndex(5)));
  EXPECT_EQ(peek(space(), 5), TestSource::value_of(5));
}

TEST_P(Reclaim, LeavesPagesThatSomebodyHolds) {
  map_file(space(), 0, uapi::kMapShared);
  read_all(space(), 0);
  {
    const Result<PageHold> page = space()->hold(at(3), Access::kRead, HoldKind::kGet);
    const Result<PageHold> pin = space()->hold(at(4), Access::kRead, HoldKind::kPin);
    ASSERT_TRUE(page.has_value() && pin.has_value());
    EXPECT_EQ(reclaim(), kPages - 2);
  }
  EXPECT_EQ(reclaim(), 2U);
}

// Rows: S2.40
TEST_P(Reclaim, LeavesMemoryThatIsLocked) {
  map_file(space(), 0, uapi::kMapShared, kPages, kRead);
  const Space other = new_space();
  map_file(other, 0, uapi::kMapShared, kPages, kRead);
  read_all(other, 0);
  ASSERT_TRUE(space()->mlock(at(2), PageCount(2).bytes(), LockWhen::kNow));
  EXPECT_EQ(reclaim(), 0U);
  EXPECT_EQ(space()->usage().rss_file.raw(), 2U);
}

// Rows: X12 S1.6
TEST_P(Reclaim, TakesPagesFromALentTableForAllWhoAreLentIt) {
  map_file(space(), 0, uapi::kMapShared, kSpan);
  read_all(space(), 0, kSpan);
  const Space other = new_space();
  map_file(other, 0, uapi::kMapShared, kSpan);
  EXPECT_EQ(peek(other, 7), TestSource::value_of(7));
  EXPECT_EQ(reclaim(), kSpan);
  EXPECT_EQ(other->usage().rss_file.raw(), 0U);
  read_all(other, 0, kSpan);
}

TEST_P(Reclaim, LetsAFileBeReadThatIsLargerThanMemory) {
  constexpr std::uint64_t kMany = 3000;
  map_file(space(), 0, uapi::kMapShared, kMany);
  FrameReservation rest(memory().pool());
  static_cast<void>(rest.ensure(memory().pool().free_frames().raw() - 200, FrameUse::kUser));
  for (std::uint64_t n = 0; n < kMany; ++n) {
    FaultOutcome seen = space()->fault(at(n), Access::kRead);
    if (seen == FaultOutcome::kOutOfMemory && reclaim(16) != 0) seen = space()->fault(at(n), Access::kRead);
    ASSERT_TRUE(seen == FaultOutcome::kMajor || seen == FaultOutcome::kMinor) << n;
  }
  EXPECT_EQ(peek(space(), kMany - 1), TestSource::value_of(kMany - 1));
}

// Random reads and writes of several processes while pages are given back and stored: contents are those of a flat array.
TEST_P(Reclaim, ChangesNothingThatAProgramCouldRead) {
  std::mt19937_64 random(23);
  constexpr std::uint64_t kMany = 24;
  map_file(space(), 0, uapi::kMapShared, kMany);
  map_file(space(), kMany, uapi::kMapPrivate, kMany);
  std::vector<std::uint64_t> contents(kMany);
  for (std::uint64_t n = 0; n < kMany; ++n) contents[n] = TestSource::value_of(n);
  std::vector<std::optional<std::uint64_t>> copies(kMany);
  const Space child = fork();
  for (std::uint64_t step = 1; step <= 3000; ++step) {
    const std::uint64_t page = random() % kMany;
    const Space& who = random() % 2 == 0 ? space() : child;
    switch (random() % 7) {
      case 0: poke(who, page, contents[page] = step); break;
      case 1:
      case 2: ASSERT_EQ(peek(who, page), contents[page]) << step; break;
      case 3:
        poke(space(), kMany + page, step);
        copies[page] = step;
        break;
      case 4: ASSERT_EQ(peek(space(), kMany + page), copies[page].value_or(contents[page])) << step; break;
      case 5: static_cast<void>(reclaim(random() % 10)); break;
      case 6: ASSERT_TRUE(object().write_back(PageIndex(page), PageIndex(page + random() % 5))); break;
    }
    if (step % 100 == 0) expect_clean_audit();
  }
}

}  // namespace
}  // namespace quire::test
