// Files as memory objects: their pages, mappings of them, private copies, truncation.
#include "support/file.h"

#include <vector>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kRead = uapi::kProtRead, kWrite = uapi::kProtWrite;

class File : public WithFile<EveryMode> {
 protected:
  Result<VirtAddr> map_file(const Space& where, std::uint64_t column, std::uint64_t pages,
                            std::uint32_t prot, std::uint32_t flags, std::uint64_t first = 0) {
    MmapRequest request;
    request.address = at(column);
    request.length = PageCount(pages).bytes();
    request.prot = prot;
    request.flags = flags | uapi::kMapFixed;
    request.object = &object();
    request.offset = PageIndex(first);
    return where->mmap(request);
  }
  std::uint64_t word_in_cache(std::uint64_t index) {
    Frame* const page = object().page_or_null(PageIndex(index));
    if (page == nullptr) return 0;
    std::uint64_t value = 0;
    __builtin_memcpy(&value, memory().contents(*page), sizeof value);
    object().put_page(*page);
    return value;
  }
  void write_to_file(std::uint64_t index, std::uint64_t value) {
    const Result<Frame*> page = object().page_for_write(PageIndex(index));
    ASSERT_TRUE(page.has_value());
    __builtin_memcpy(memory().contents(**page), &value, sizeof value);
    object().put_page(**page);
  }
  static std::uint64_t original(std::uint64_t index) { return TestSource::value_of(index); }
  Usage usage(const Space& where) { return where->usage(); }
};
QUIRE_IN_EVERY_MODE(File);

// Rows: S3.12
TEST_P(File, IsReadFromItsCacheWhereItHasAHole) {
  ObjectUser holes(memory(), FileObject::Config{.leaf_class = LeafClass::kFile, .size = PageCount(kPages).bytes()});
  MmapRequest request;
  request.address = at(0);
  request.length = PageCount(kPages).bytes();
  request.prot = kRead | kWrite;
  request.flags = uapi::kMapPrivate | uapi::kMapFixed;
  request.object = &*holes;
  ASSERT_TRUE(space()->mmap(request));
  EXPECT_EQ(peek(space(), 3), 0U);
  EXPECT_FALSE(memory().zero().is_zero(path_to(*space(), at(3)).leaf));
  EXPECT_EQ(usage(space()).rss_file.raw(), 1U);
  const Result<Frame*> page = holes->page_for_write(PageIndex(3));
  ASSERT_TRUE(page.has_value());
  *reinterpret_cast<std::uint64_t*>(memory().contents(**page)) = 9;
  holes->put_page(**page);
  EXPECT_EQ(peek(space(), 3), 9U) << "what is written to the file is seen";
  ASSERT_TRUE(unmap(space(), 0, kPages));
}

TEST_P(File, IsReadOnceForAllWhoMapIt) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead, uapi::kMapShared));
  const Space other = new_space();
  ASSERT_TRUE(map_file(other, 0, kPages, kRead, uapi::kMapPrivate));
  for (std::uint64_t n = 0; n < kPages; ++n) {
    EXPECT_EQ(peek(space(), n), original(n));
    EXPECT_EQ(peek(other, n), original(n));
  }
  EXPECT_EQ(source().pages_read, kPages);
  EXPECT_EQ(usage(space()).rss_file.raw(), kPages);
  EXPECT_EQ(usage(other).rss_file.raw(), kPages);
  EXPECT_EQ(usage(other).rss_anon.raw(), 0U);
}

TEST_P(File, IsReadInClusters) {
  source().around = 4;
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead, uapi::kMapShared));
  EXPECT_EQ(peek(space(), 2), original(2));
  EXPECT_EQ(peek(space(), 0), original(0));
  EXPECT_EQ(peek(space(), 3), original(3));
  EXPECT_EQ(source().reads, 1U);
  EXPECT_EQ(peek(space(), 5), original(5));
  EXPECT_EQ(source().reads, 2U);
  EXPECT_EQ(counter(Counter::kFaultMajor), 2U);
}

TEST_P(File, IsMappedAroundTheFirstReadAsFarAsItIsInMemory) {
  source().around = 4;
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapShared));
  const Space other = new_space();
  ASSERT_TRUE(map_file(other, 0, 3, kRead, uapi::kMapPrivate, 1));
  EXPECT_EQ(peek(space(), 1), original(1));
  EXPECT_EQ(usage(space()).rss_file.raw(), 4U);
  EXPECT_EQ(peek(other, 2), original(3));
  EXPECT_EQ(usage(other).rss_file.raw(), 3U) << "as far as the mapping goes";
  poke(space(), 2, 7);
  EXPECT_EQ(peek(other, 1), 7U);
  EXPECT_EQ(source().charged, 1U) << "neighbours are mapped for reading";
}

TEST_P(File, GivesPrivateMappingsCopiesWhenTheyWrite) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapPrivate));
  ASSERT_TRUE(map_file(space(), 8, kPages, kRead, uapi::kMapShared));
  EXPECT_EQ(peek(space(), 0), original(0));
  poke(space(), 0, 7);  // over the object's page
  poke(space(), 1, 8);  // where nothing was mapped
  EXPECT_EQ(peek(space(), 0), 7U);
  EXPECT_EQ(peek(space(), 1), 8U);
  EXPECT_EQ(peek(space(), 8), original(0));
  EXPECT_EQ(peek(space(), 9), original(1)) << "read anew from the source";
  EXPECT_EQ(usage(space()).rss_anon.raw(), 2U);
  EXPECT_EQ(usage(space()).rss_file.raw(), 2U);
  EXPECT_EQ(object().owned().raw(), 0U) << "the file is as it was";
}

// Rows: S0.14
TEST_P(File, SeesPrivateCopiesOnlyInTheFamilyThatMadeThem) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapPrivate));
  poke(space(), 3, 33);
  const Space child = fork();
  poke(child, 3, 34);
  poke(child, 4, 44);
  EXPECT_EQ(peek(space(), 3), 33U);
  EXPECT_EQ(peek(space(), 4), original(4));
  EXPECT_EQ(peek(child, 3), 34U);
  EXPECT_EQ(peek(child, 4), 44U);
}

TEST_P(File, ShowsWritesThroughSharedMappingsToAll) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapShared));
  const Space child = fork();
  const Space other = new_space();
  ASSERT_TRUE(map_file(other, 3, 2, kRead, uapi::kMapPrivate, 2));
  poke(child, 2, 22);
  EXPECT_EQ(peek(space(), 2), 22U);
  EXPECT_EQ(peek(other, 3), 22U);
  EXPECT_EQ(word_in_cache(2), 22U);
  write_to_file(3, 90);
  EXPECT_EQ(peek(space(), 3), 90U);
  EXPECT_EQ(peek(other, 4), 90U);
}

TEST_P(File, HearsOfTheFirstWriteToEachPage) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapShared));
  EXPECT_EQ(peek(space(), 0), original(0));
  EXPECT_EQ(source().charged, 0U);
  poke(space(), 0, 1);
  poke(space(), 0, 2);
  poke(space(), 5, 3);
  EXPECT_EQ(source().charged, 2U);
  EXPECT_EQ(object().owned().raw(), 2U);
  EXPECT_EQ(source().mapped_writes, 2U);
}

TEST_P(File, WithoutSpaceLeftIsABusErrorForTheWriter) {
  source().budget = 1;
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapShared));
  poke(space(), 0, 1);
  EXPECT_EQ(peek(space(), 1), original(1));
  EXPECT_EQ(outcome(space(), 1, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_EQ(outcome(space(), 2, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_EQ(peek(space(), 1), original(1));
  EXPECT_EQ(source().charged, 1U);
}

TEST_P(File, EndsInBusErrors) {
  object().resize(ByteCount(3 * kPageSize + 10));
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapPrivate));
  ASSERT_TRUE(map_file(space(), 10, kPages, kRead | kWrite, uapi::kMapShared));
  EXPECT_EQ(peek(space(), 3), original(3));
  EXPECT_EQ(outcome(space(), 4, Access::kRead), FaultOutcome::kBusError);
  EXPECT_EQ(outcome(space(), 4, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_EQ(outcome(space(), 14, Access::kWrite), FaultOutcome::kBusError);
  object().resize(ByteCount(6 * kPageSize));
  EXPECT_EQ(peek(space(), 5), original(5)) << "what the source says of a longer file";
}

TEST_P(File, ThatCannotBeReadIsABusErrorAndNotCached) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead, uapi::kMapShared));
  source().fails = true;
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kBusError);
  EXPECT_EQ(object().resident().raw(), 0U);
  source().fails = false;
  EXPECT_EQ(peek(space(), 0), original(0));
}

// Rows: S4.35 S2.47
TEST_P(File, CutShortLosesItsPagesAndTheirPrivateCopiesEverywhere) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapPrivate));
  map("........PP");
  fill(space(), 8, 2);
  for (std::uint64_t n = 0; n < kPages; ++n) EXPECT_EQ(peek(space(), n), original(n));
  poke(space(), 1, 71);
  poke(space(), 5, 75);
  const Space child = fork();
  poke(child, 6, 76);
  const Space sharer = new_space();
  ASSERT_TRUE(map_file(sharer, 0, kPages, kRead | kWrite, uapi::kMapShared));
  poke(sharer, 7, 77);
  object().resize(ByteCount(2 * kPageSize + 100));
  for (const Space* const who : std::initializer_list<const Space*>{&space(), &child}) {
    EXPECT_EQ(peek(*who, 1), 71U);
    EXPECT_EQ(peek(*who, 8), 9U) << "memory that is nobody's copy stays";
    for (std::uint64_t n = 3; n < kPages; ++n) {
      EXPECT_EQ(outcome(*who, n, Access::kRead), FaultOutcome::kBusError) << n;
    }
  }
  EXPECT_EQ(outcome(sharer, 7, Access::kRead), FaultOutcome::kBusError);
  EXPECT_EQ(usage(space()).rss_anon.raw(), 3U);
  EXPECT_EQ(usage(space()).rss_file.raw(), 2U);
  EXPECT_EQ(usage(child).rss_anon.raw(), 3U);
  EXPECT_EQ(usage(sharer).rss_file.raw(), 0U);
  EXPECT_EQ(source().charged, 0U);
  expect_clean_audit();
}

// Rows: S4.35
TEST_P(File, CutShortFindsCopiesThatMovedAndCopiesOfCopies) {
  ASSERT_TRUE(map_file(space(), 0, 2, kRead | kWrite, uapi::kMapPrivate, 4));
  poke(space(), 0, 1);
  poke(space(), 1, 2);
  const MremapRequest request{.old_address = at(0),
                              .old_length = PageCount(2).bytes(),
                              .new_length = PageCount(2).bytes(),
                              .flags = uapi::kMremapMayMove | uapi::kMremapFixed,
                              .new_address = at(700)};
  ASSERT_TRUE(space()->mremap(request));
  const Space child = fork();
  poke(child, 700, 3);
  const Space grandchild = fork(child);
  poke(grandchild, 700, 4);
  object().resize(ByteCount(5 * kPageSize));
  EXPECT_EQ(peek(space(), 700), 1U);
  EXPECT_EQ(peek(grandchild, 700), 4U);
  object().resize(ByteCount(4 * kPageSize));
  for (const Space* const who :
       std::initializer_list<const Space*>{&space(), &child, &grandchild}) {
    EXPECT_EQ(outcome(*who, 700, Access::kRead), FaultOutcome::kBusError);
    EXPECT_EQ(usage(*who).rss_anon.raw(), 0U);
  }
}

TEST_P(File, CutShortIsZeroBehindItsNewEndAndWhenItGrowsAgain) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead, uapi::kMapShared));
  EXPECT_EQ(peek(space(), 2), original(2));
  object().resize(ByteCount(2 * kPageSize + 4));
  EXPECT_EQ(peek(space(), 2), original(2) & 0xffffffffU);
  object().resize(ByteCount(2 * kPageSize + 2));
  object().resize(ByteCount(3 * kPageSize));
  EXPECT_EQ(peek(space(), 2), original(2) & 0xffffU);
}

TEST_P(File, PunchedLeavesPrivateCopies) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapPrivate));
  ASSERT_TRUE(map_file(space(), 8, kPages, kRead | kWrite, uapi::kMapShared));
  poke(space(), 2, 7);
  poke(space(), 10, 8);
  poke(space(), 11, 9);
  object().punch(PageIndex(2), PageIndex(2));
  EXPECT_EQ(peek(space(), 2), 7U);
  EXPECT_EQ(peek(space(), 10), original(2)) << "read anew";
  EXPECT_EQ(peek(space(), 11), 9U);
  EXPECT_EQ(source().charged, 1U);
}

TEST_P(File, GivesBackWhatCanBeReadAgainIfNobodyUsesIt) {
  ASSERT_TRUE(map_file(space(), 0, kPages, kRead | kWrite, uapi::kMapShared));
  for (std::uint64_t n = 0; n < kPages; ++n) EXPECT_EQ(peek(space(), n), original(n));
  poke(space(), 1, 7);
  EXPECT_EQ(object().drop_clean().raw(), 0U) << "all are mapped";
  ASSERT_TRUE(unmap(space(), 0, kPages));
  EXPECT_EQ(object().drop_clean().raw(), kPages - 1);
  EXPECT_EQ(word_in_cache(1), 7U);
  EXPECT_EQ(word_in_cache(2), 0U);
}

TEST_P(File, TellsWhereItsOwnPagesAre) {
  EXPECT_FALSE(object().next_owned(PageIndex(0)).has_value());
  write_to_file(2, 1);
  write_to_file(3, 1);
  write_to_file(1000, 1);
  EXPECT_EQ(object().next_owned(PageIndex(0)), PageIndex(2));
  EXPECT_EQ(object().next_owned(PageIndex(4)), PageIndex(1000));
  EXPECT_EQ(object().next_hole(PageIndex(2)), PageIndex(4));
  EXPECT_EQ(object().next_hole(PageIndex(0)), PageIndex(0));
  EXPECT_FALSE(object().next_owned(PageIndex(1001)).has_value());
}

TEST_P(File, OpenedForReadingNeverBecomesWritable) {
  MmapRequest request;
  request.address = at(0);
  request.length = PageCount(2).bytes();
  request.prot = kRead;
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  request.object = &object();
  request.file_access = MmapRequest::FileAccess::kReadOnly;
  ASSERT_TRUE(space()->mmap(request));
  const Result<void> result = protect(space(), 0, 2, kRead | kWrite);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), Errno::kAcces);
  request.flags = uapi::kMapPrivate | uapi::kMapFixed;
  ASSERT_TRUE(space()->mmap(request));
  ASSERT_TRUE(protect(space(), 0, 2, kRead | kWrite));
  poke(space(), 0, 5);
  EXPECT_EQ(word_in_cache(0), original(0));
}

TEST_P(File, MadeReadOnlyAndWritableAgainKeepsPrivateAndSharedApart) {
  ASSERT_TRUE(map_file(space(), 0, 2, kRead | kWrite, uapi::kMapPrivate));
  ASSERT_TRUE(map_file(space(), 2, 2, kRead | kWrite, uapi::kMapShared));
  EXPECT_EQ(peek(space(), 0), original(0));
  poke(space(), 1, 5);
  poke(space(), 2, 6);
  ASSERT_TRUE(protect(space(), 0, 4, kRead));
  EXPECT_EQ(outcome(space(), 1, Access::kWrite), FaultOutcome::kAccessError);
  ASSERT_TRUE(protect(space(), 0, 4, kRead | kWrite));
  poke(space(), 0, 50);
  poke(space(), 2, 60);
  poke(space(), 3, 61);
  EXPECT_EQ(peek(space(), 0), 50U);
  EXPECT_EQ(word_in_cache(0), 60U);
  EXPECT_EQ(word_in_cache(1), 61U);
  EXPECT_EQ(peek(space(), 1), 5U);
}

// Rows: S4.15
TEST_P(File, SurvivesItsUserWhileMapped) {
  {
    ObjectUser mine(memory(), {.size = PageCount(4).bytes()});
    MmapRequest request;
    request.address = at(0);
    request.length = PageCount(4).bytes();
    request.prot = kRead | kWrite;
    request.flags = uapi::kMapShared | uapi::kMapFixed;
    request.object = &*mine;
    ASSERT_TRUE(space()->mmap(request));
    poke(space(), 1, 5);
  }
  EXPECT_EQ(peek(space(), 1), 5U);
}

TEST_P(File, MappingsOfDifferentLabelsDoNotMerge) {
  TestLabel one, two;
  MmapRequest request;
  request.length = PageCount(1).bytes();
  request.prot = kRead;
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  request.object = &object();
  const auto map_with = [&](std::uint64_t page, TestLabel& label) {
    request.address = at(page);
    request.offset = PageIndex(page);
    request.label = &label;
    ASSERT_TRUE(space()->mmap(request));
  };
  map_with(0, one);
  map_with(1, one);
  EXPECT_EQ(space()->map().size(), 1U);
  map_with(2, two);
  EXPECT_EQ(space()->map().size(), 2U);
  EXPECT_GT(one.holders, 0);
  ASSERT_TRUE(unmap(space(), 0, 3));
  EXPECT_EQ(one.holders, 0);
  EXPECT_EQ(two.holders, 0);
}

// Rows: S2.47
TEST_P(File, LosesPagesForEverybodyByAnAdviceButNotItsPrivateCopies) {
  ASSERT_TRUE(map_file(space(), 0, 4, kRead | kWrite, uapi::kMapShared));
  ASSERT_TRUE(map_file(space(), 8, 4, kRead | kWrite, uapi::kMapPrivate));
  poke(space(), 1, 71);
  poke(space(), 10, 72);
  EXPECT_EQ(peek(space(), 9), 71U);
  Space child = fork();
  EXPECT_EQ(advise(space(), 8, 4, uapi::kMadvRemove).error(), Errno::kAcces);
  ASSERT_TRUE(advise(child, 0, 3, uapi::kMadvRemove));
  EXPECT_EQ(peek(space(), 9), original(1)) << "read anew from the source";
  EXPECT_EQ(peek(space(), 10), 72U);
}

TEST_P(File, MakesAHoleForAMappingThatHoldsAFile) {
  TestLabel file;
  MmapRequest request;
  request.address = at(0);
  request.length = PageCount(4).bytes();
  request.prot = kRead | kWrite;
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  request.object = &object();
  request.offset = PageIndex(2);
  request.label = &file;
  ASSERT_TRUE(space()->mmap(request));
  ASSERT_TRUE(advise(space(), 1, 2, uapi::kMadvRemove));
  EXPECT_EQ(file.punched, std::pair(std::uint64_t{3}, std::uint64_t{2}));
  request.file_access = MmapRequest::FileAccess::kReadOnly;
  request.prot = kRead;
  ASSERT_TRUE(space()->mmap(request));
  EXPECT_EQ(advise(space(), 1, 2, uapi::kMadvRemove).error(), Errno::kAcces);
  ASSERT_TRUE(unmap(space(), 0, 4));
}

// Rows: S0.23 I12
TEST_P(File, IsMappedAndWrittenOrNotAtAllWhenMemoryRunsOut) {
  source().around = 4;
  for (std::uint64_t n = 1; n < 40; ++n) {
    const Space where = new_space();
    ASSERT_TRUE(map_file(where, 0, kPages, kRead | kWrite, uapi::kMapPrivate));
    ASSERT_TRUE(map_file(where, 8, kPages, kRead | kWrite, uapi::kMapShared));
    memory().pool().fail_after(n);
    const FaultOutcome copied = where->fault(at(0), Access::kWrite);
    const FaultOutcome shared = where->fault(at(9), Access::kWrite);
    const bool injected = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    EXPECT_TRUE(!injected || copied == FaultOutcome::kOutOfMemory || shared == FaultOutcome::kOutOfMemory ||
                n > 1);
    poke(where, 0, 5);
    poke(where, 9, 6);
    EXPECT_EQ(peek(where, 8), original(0));
    expect_clean_audit();
    object().resize(ByteCount(0));
    object().resize(PageCount(kPages).bytes());
    object().drop_clean();
    if (!injected) return;
  }
  FAIL() << "never ran through";
}

}  // namespace
}  // namespace quire::test
