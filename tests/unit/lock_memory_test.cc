// mlock and zero pages: what is locked is there, and zeros stay zeros whatever becomes of their mapping.
#include "support/fixture.h"

namespace quire::test {
namespace {

class LockedMemory : public EveryMode {
 protected:
  void lock(std::uint64_t first, std::uint64_t pages) {
    ASSERT_TRUE(space()->mlock(at(first), PageCount(pages).bytes(), LockWhen::kNow));
  }
  void unlock(std::uint64_t first, std::uint64_t pages) {
    ASSERT_TRUE(space()->munlock(at(first), PageCount(pages).bytes()));
  }
  [[nodiscard]] std::uint64_t faults() { return counter(Counter::kFaultMinor); }
};
QUIRE_IN_EVERY_MODE(LockedMemory);

// Rows: S3.11 S3.27
TEST_P(LockedMemory, HasNoZeroLeafWhereItMayBeWritten) {
  map("AAAAAAAA");
  for (const std::uint64_t page : {1U, 4U}) EXPECT_EQ(peek(space(), page), 0U);
  lock(0, 8);
  EXPECT_EQ(draw_pages(*space(), base(), 8), "aaaaaaaa");
  EXPECT_EQ(space()->usage().rss_anon.raw(), 8U);
  const std::uint64_t before = faults();
  fill(space(), 0, 8);
  EXPECT_EQ(faults(), before) << "a write to locked memory faults";
  unlock(0, 8);
  EXPECT_EQ(space()->usage().rss_anon.raw(), 8U);
}

// Rows: S3.22 S3.23 S3.27
TEST_P(LockedMemory, IsPopulatedWhereItMayOnlyBeReadAndWasNeverTouched) {
  map("AAAAAAAA", {.prot = uapi::kProtRead});
  EXPECT_EQ(peek(space(), 3), 0U);
  lock(0, 8);
  std::uint8_t resident[8] = {};
  const Result<PageCount> looked_at = space()->mincore(at(0), resident);
  ASSERT_TRUE(looked_at.has_value());
  for (const std::uint8_t each : resident) EXPECT_EQ(each, 1U);
  EXPECT_EQ(draw_pages(*space(), base(), 8), "zzzzzzzz");
  EXPECT_EQ(space()->usage().rss().raw(), 0U) << "zeros are not counted";
  const std::uint64_t before = faults();
  for (std::uint64_t n = 0; n < 8; ++n) EXPECT_EQ(peek(space(), n), 0U);
  EXPECT_EQ(faults(), before);
  unlock(0, 8);
  EXPECT_EQ(space()->usage().rss().raw(), 0U);
}

// Rows: S3.8
TEST_P(LockedMemory, SurprisesNobodyWithZerosThatWereThereBefore) {
  map("AAAAAAAA");
  for (std::uint64_t n = 0; n < 8; ++n) EXPECT_EQ(peek(space(), n), 0U);
  ASSERT_TRUE(space()->mlock(at(0), PageCount(4).bytes(), LockWhen::kOnFault));
  ASSERT_TRUE(protect(space(), 2, 4, uapi::kProtRead));
  unlock(0, 4);
  {
    Space child = fork();
    ASSERT_TRUE(protect(child, 2, 4, uapi::kProtRead | uapi::kProtWrite));
    poke(child, 3, 1);
    for (const std::uint64_t page : {0U, 2U, 7U}) EXPECT_EQ(peek(child, page), 0U);
  }
  for (std::uint64_t n = 0; n < 8; ++n) EXPECT_EQ(peek(space(), n), 0U);
  EXPECT_EQ(counter(Counter::kMalformed), 0U);
  EXPECT_EQ(machine().violations().count(), 0U);
  expect_clean_audit();
}

// A copy that merges with the mapping it was made of, and with one beyond it: all of it is unlocked, and counted so.
// Rows: S0.61 S3.27
TEST_P(LockedMemory, IsUnlockedWithTheWholeMappingThatACopyOfItJoins) {
  map("AAAAAA");
  ASSERT_TRUE(space()->mlock(at(0), PageCount(6).bytes(), LockWhen::kOnFault));
  constexpr std::uint32_t kFlags = uapi::kMremapMayMove | uapi::kMremapFixed | uapi::kMremapDontUnmap;
  const ByteCount page = PageCount(1).bytes();
  const MremapRequest request{
      .old_address = at(0), .old_length = page, .new_length = page, .flags = kFlags, .new_address = at(1)};
  ASSERT_TRUE(space()->mremap(request));
  EXPECT_EQ(space()->usage().mappings, 1U);
  EXPECT_EQ(space()->usage().locked.raw(), 0U);
  expect_clean_audit();
}

}  // namespace
}  // namespace quire::test
