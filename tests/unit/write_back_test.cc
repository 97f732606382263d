// Storing what was written through mappings: owned pages become copies again, and no store is lost.
#include <random>
#include <vector>

#include "quire/space/hold.h"
#include "support/file.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;
constexpr std::uint64_t kEnd = ~std::uint64_t{0} >> kPageShift;

class WriteBack : public WithFile<EveryMode> {
 protected:
  static constexpr std::uint64_t kSpan = 512;

  void map_file(const Space& where, std::uint64_t column, std::uint64_t pages = kPages, VmaLabel* label = nullptr) {
    MmapRequest request;
    request.address = at(column);
    request.length = PageCount(pages).bytes();
    request.prot = kReadWrite;
    request.flags = uapi::kMapShared | uapi::kMapFixed;
    request.object = &object(pages);
    request.label = label;
    ASSERT_TRUE(where->mmap(request));
  }
  Result<void> store_all() { return object().write_back(PageIndex(0), PageIndex(kEnd)); }
  [[nodiscard]] std::uint64_t stored(std::uint64_t index) {
    const auto found = source().stored.find(index);
    return found == source().stored.end() ? TestSource::value_of(index) : found->second;
  }
};
QUIRE_IN_EVERY_MODE(WriteBack);

// Rows: S0.21 I14
TEST_P(WriteBack, StoresWhatWasWrittenAndHearsOfTheNextWrite) {
  map_file(space(), 0);
  poke(space(), 1, 71);
  poke(space(), 2, 72);
  poke(space(), 5, 75);
  ASSERT_TRUE(store_all());
  EXPECT_EQ(stored(1), 71U);
  EXPECT_EQ(stored(2), 72U);
  EXPECT_EQ(stored(5), 75U);
  EXPECT_EQ(source().writes, 2U) << "neighbours go together";
  EXPECT_EQ(source().charged, 0U);
  EXPECT_EQ(object().owned().raw(), 0U);
  ASSERT_TRUE(store_all());
  EXPECT_EQ(source().writes, 2U) << "nothing is left to store";
  poke(space(), 1, 81);
  EXPECT_EQ(source().charged, 1U);
  EXPECT_EQ(stored(1), 71U);
  ASSERT_TRUE(store_all());
  EXPECT_EQ(stored(1), 81U);
  EXPECT_EQ(source().pages_written, 4U);
}

TEST_P(WriteBack, StoresTheRangeThatIsAskedFor) {
  map_file(space(), 0);
  for (std::uint64_t n = 0; n < kPages; ++n) poke(space(), n, 70 + n);
  ASSERT_TRUE(object().write_back(PageIndex(2), PageIndex(4)));
  EXPECT_EQ(source().pages_written, 3U);
  EXPECT_EQ(stored(4), 74U);
  EXPECT_EQ(object().owned().raw(), kPages - 3);
}

// Rows: S0.21 S0.43
TEST_P(WriteBack, KnowsOfWritesOfAllWhoMapTheFileAndOfThoseWhoHaveGone) {
  map_file(space(), 0);
  const Space other = new_space();
  map_file(other, 3);
  poke(other, 4, 91);
  {
    const Space child = fork();
    poke(child, 2, 92);
  }
  poke(space(), 2, 93);
  ASSERT_TRUE(unmap(const_cast<Space&>(other), 3, kPages));
  ASSERT_TRUE(store_all());
  EXPECT_EQ(stored(1), 91U);
  EXPECT_EQ(stored(2), 93U);
  const Space child = fork();
  poke(child, 2, 94);
  ASSERT_TRUE(store_all());
  poke(space(), 2, 95);
  EXPECT_EQ(object().owned().raw(), 1U) << "in the table that both share";
  ASSERT_TRUE(store_all());
  EXPECT_EQ(stored(2), 95U);
}

// Rows: X12 S1.6
TEST_P(WriteBack, EditsALentTableOnceForAllAndFlushesThemAll) {
  map_file(space(), 0, kSpan);
  const Space other = new_space();
  map_file(other, 0, kSpan);
  for (std::uint64_t n = 0; n < 100; ++n) poke(space(), n, n);
  Cpu& second = new_cpu();
  second.run(other);
  ASSERT_TRUE(second.store(at(7), std::uint64_t{1}));
  const std::uint64_t walks = counter(Counter::kRmapVisit), lookups = counter(Counter::kRmapLookup);
  ASSERT_TRUE(store_all());
  EXPECT_EQ(counter(Counter::kRmapLookup) - lookups, 100U);
  EXPECT_EQ(counter(Counter::kRmapVisit) - walks, 100U) << "one table, however many map it";
  ASSERT_TRUE(second.store(at(7), std::uint64_t{2}));
  EXPECT_EQ(object().owned().raw(), 1U) << "a processor that had it writable asks again";
  second.stop();
}

TEST_P(WriteBack, ThatFailsKeepsEverything) {
  map_file(space(), 0);
  poke(space(), 1, 71);
  poke(space(), 4, 74);
  source().fails_to_store = true;
  EXPECT_EQ(store_all().error(), Errno::kNoSpc);
  EXPECT_EQ(source().writes, 2U) << "all are tried";
  EXPECT_EQ(object().owned().raw(), 2U);
  EXPECT_EQ(source().charged, 2U);
  EXPECT_EQ(object().drop_clean().raw(), 0U);
  object().drop_copies();
  poke(space(), 4, 84);
  EXPECT_EQ(source().charged, 2U);
  source().fails_to_store = false;
  ASSERT_TRUE(store_all());
  EXPECT_EQ(stored(1), 71U);
  EXPECT_EQ(stored(4), 84U);
  EXPECT_EQ(source().charged, 0U);
}

// Rows: I14
TEST_P(WriteBack, StoresLaterWhatIsWrittenWhileItStores) {
  map_file(space(), 0);
  for (const bool fails : {false, true}) {
    poke(space(), 1, 71);
    source().fails_to_store = fails;
    source().during_write = [&] {
      poke(space(), 1, 72);
    };
    EXPECT_EQ(store_all().has_value(), !fails);
    EXPECT_EQ(object().owned().raw(), 1U);
    EXPECT_EQ(source().charged, 1U);
    source().fails_to_store = false;
    ASSERT_TRUE(store_all());
    EXPECT_EQ(stored(1), 72U);
  }
}

TEST_P(WriteBack, StoresWhatWasWrittenThroughAHold) {
  map_file(space(), 0);
  {
    Result<PageHold> page = space()->hold(at(3), Access::kWrite, HoldKind::kPin);
    ASSERT_TRUE(page.has_value());
    ASSERT_TRUE(store_all());
    object().drop_copies();
    constexpr std::uint64_t kValue = 77;
    __builtin_memcpy(page->contents(), &kValue, sizeof kValue);
    page->mark_dirty();
  }
  object().drop_copies();
  ASSERT_TRUE(unmap(space(), 0, kPages));
  EXPECT_EQ(object().drop_clean().raw(), 0U);
  ASSERT_TRUE(store_all());
  EXPECT_EQ(stored(3), 77U);
  EXPECT_EQ(object().drop_clean().raw(), 1U);
}

// Rows: S2.47
TEST_P(WriteBack, ForgetsCopiesOfWhatHasChangedBehindItsBack) {
  map_file(space(), 0);
  for (std::uint64_t n = 0; n < kPages; ++n) EXPECT_EQ(peek(space(), n), TestSource::value_of(n));
  poke(space(), 2, 72);
  for (std::uint64_t n = 0; n < kPages; ++n) source().stored[n] = 500 + n;
  object().drop_copies();
  EXPECT_EQ(peek(space(), 1), 501U);
  EXPECT_EQ(peek(space(), 2), 72U) << "what was written here stays, and wins";
  ASSERT_TRUE(store_all());
  EXPECT_EQ(stored(2), 72U);
}

TEST_P(WriteBack, NeedsNoMemory) {
  map_file(space(), 0);
  for (std::uint64_t n = 0; n < kPages; ++n) poke(space(), n, 70 + n);
  const Space child = fork();
  memory().pool().fail_after(1);
  ASSERT_TRUE(store_all());
  object().drop_copies();
  EXPECT_FALSE(memory().pool().failure_injected());
  memory().pool().fail_after(0);
}

// Rows: S4.17
TEST_P(WriteBack, IsAskedForByMsyncOfSharedMappings) {
  TestLabel file;
  map_file(space(), 2, 4, &file);
  const auto sync = [&](std::uint64_t first, std::uint64_t pages, std::uint32_t flags) {
    return space()->msync(at(first), PageCount(pages).bytes(), flags);
  };
  ASSERT_TRUE(sync(3, 2, uapi::kMsSync));
  ASSERT_EQ(file.stored.size(), 1U);
  EXPECT_EQ(file.stored[0], (std::pair<std::uint64_t, std::uint64_t>{1, 2}));
  ASSERT_TRUE(sync(3, 2, uapi::kMsAsync));
  EXPECT_EQ(file.stored.size(), 1U) << "Linux does nothing then, either";
  EXPECT_EQ(sync(0, 4, uapi::kMsSync).error(), Errno::kNoMem);
  EXPECT_EQ(file.stored.size(), 2U) << "what is mapped is stored";
  file.store_error = Errno::kNoSpc;
  EXPECT_EQ(sync(0, 8, uapi::kMsSync).error(), Errno::kNoSpc) << "that is worse than a hole";
  ASSERT_TRUE(unmap(space(), 2, 4));
}

// Random stores, forks and ends of processes, while pages are stored, given back and forgotten: contents are those of a flat array.
TEST_P(WriteBack, KeepsEveryStoreInAnyOrderOfThings) {
  std::mt19937_64 random(11);
  constexpr std::uint64_t kMany = 40;
  map_file(space(), 0, kMany);
  std::vector<std::uint64_t> contents(kMany);
  for (std::uint64_t n = 0; n < kMany; ++n) contents[n] = TestSource::value_of(n);
  std::vector<Space> others;
  const auto anybody = [&]() -> const Space& {
    const std::uint64_t n = random() % (others.size() + 1);
    return n == others.size() ? space() : others[n];
  };
  for (std::uint64_t step = 1; step <= 3000; ++step) {
    const std::uint64_t page = random() % kMany;
    switch (random() % 10) {
      case 0:
      case 1:
      case 2: poke(anybody(), page, contents[page] = step); break;
      case 3:
      case 4: ASSERT_EQ(peek(anybody(), page), contents[page]) << step; break;
      case 5: {
        source().fails_to_store = random() % 4 == 0;
        source().during_write = [&, page] {
          if (random() % 2 == 0) poke(anybody(), page, contents[page] = 10000 + step);
        };
        static_cast<void>(object().write_back(PageIndex(page), PageIndex(page + random() % 10)));
        break;
      }
      case 6: object().drop_copies(); break;
      case 7: static_cast<void>(object().drop_clean()); break;
      case 8:
        if (others.size() < 6) others.push_back(fork(anybody()));
        break;
      case 9:
        if (!others.empty()) others.erase(others.begin() + static_cast<std::ptrdiff_t>(random() % others.size()));
        break;
    }
    ASSERT_EQ(source().charged, object().owned().raw()) << step;
    if (step % 100 == 0) expect_clean_audit();
  }
  source().fails_to_store = false;
  ASSERT_TRUE(store_all());
  for (std::uint64_t n = 0; n < kMany; ++n) EXPECT_EQ(stored(n), contents[n]) << n;
}

}  // namespace
}  // namespace quire::test
