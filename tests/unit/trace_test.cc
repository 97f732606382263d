// Tracepoints, and the window of shares: what happened to tables can be told afterwards, and which shared table matters can be found.
#include <algorithm>
#include <map>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class Traced : public EveryMode {
 protected:
  std::vector<TraceRecord> records(std::uint64_t from = 0) {
    std::vector<TraceRecord> all, part(64);
    while (const std::size_t count = memory().trace().read(from, part)) {
      all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return all;
  }
  std::vector<TraceRecord> records_of(TraceEvent event) {
    std::vector<TraceRecord> all = records();
    std::erase_if(all, [event](const TraceRecord& r) { return r.event != event; });
    return all;
  }
  void TearDown() override {
    memory().trace().end(memory());
    EveryMode::TearDown();
  }
  void start(Trace::Filter filter = {}) { ASSERT_TRUE(memory().trace().start(memory(), filter)); }
};
QUIRE_IN_EVERY_MODE(Traced);

// Rows: S0.58
TEST_P(Traced, TellsTheSharesOfAllTables) {
  start();
  map_pages(space(), 0, 4 * kSpan);
  for (std::uint64_t n = 0; n < 4; ++n) fill(space(), n * kSpan, 2);
  map_pages(space(), 8 * kSpan, kSpan, {.flags = uapi::kMapShared});
  fill(space(), 8 * kSpan, 1);  // through a table that is lent
  Space child = fork();
  poke(child, 1, 7);
  Space grandchild = fork(child);
  poke(space(), kSpan, 8);
  ASSERT_TRUE(unmap(space(), 2 * kSpan, kSpan));
  grandchild.reset();
  ASSERT_TRUE(advise(child, 3 * kSpan, kSpan, uapi::kMadvDontNeed));
  std::map<std::uint64_t, std::uint32_t> shares;
  for (const TraceRecord& r : records()) {
    if (r.event == TraceEvent::kMake || r.event == TraceEvent::kShare || r.event == TraceEvent::kDrop) shares[r.table.raw()] = r.share;
    if (r.event == TraceEvent::kFree) {
      EXPECT_EQ(shares[r.table.raw()], 0U);
      shares.erase(r.table.raw());
    }
  }
  EXPECT_GE(shares.size(), 8U);
  for (std::uint64_t pfn = 0; pfn < memory().pool().touched_end().raw(); ++pfn) {
    const Frame& frame = memory().frame(Pfn(pfn));
    if (frame.kind != FrameKind::kTable && !frame.is_lent()) continue;
    EXPECT_EQ(shares[pfn], frame.table.share.load_relaxed()) << "table " << pfn;
    shares.erase(pfn);
  }
  EXPECT_TRUE(shares.empty());
}

// Rows: S0.58
TEST_P(Traced, SaysWhoWhereAndWhy) {
  map_pages(space(), 0, 2 * kSpan);
  fill(space(), 0, 2);
  start();
  const Space child = fork();
  ASSERT_EQ(records_of(TraceEvent::kFork).size(), 1U);
  EXPECT_EQ(records_of(TraceEvent::kFork)[0].space, space()->id());
  EXPECT_EQ(records_of(TraceEvent::kFork)[0].value, child->id());
  poke(child, 1, 7);
  if (GetParam() != ForkMode::kCopy) {
    const std::vector<TraceRecord> copies = records_of(TraceEvent::kUnshare);
    ASSERT_FALSE(copies.empty());
    EXPECT_EQ(copies.back().space, child->id());
    EXPECT_EQ(copies.back().address, at(0));
    EXPECT_EQ(copies.back().level, kLeafLevel);
    EXPECT_EQ(copies.back().share, 2U) << "before";
    EXPECT_EQ(copies.back().reason, Counter::kUnshareFault);
  }
  ASSERT_TRUE(unmap(space(), 0, 2 * kSpan));
  const std::vector<TraceRecord> zaps = records_of(TraceEvent::kZap);
  ASSERT_EQ(zaps.size(), 1U);
  EXPECT_EQ(zaps[0].address, at(0));
  EXPECT_EQ(zaps[0].value, PageCount(2 * kSpan).bytes().raw());
  EXPECT_FALSE(records_of(TraceEvent::kDetach).empty());
}

// Rows: S0.58
TEST_P(Traced, RecordsWhatIsWantedAndTheLastOfIt) {
  map_pages(space(), 0, 8);
  fill(space(), 0, 8);
  { const Space child = fork(); }
  EXPECT_EQ(memory().trace().count(), 0U) << "nothing is wanted";
  start({.events = 1U << static_cast<unsigned>(TraceEvent::kFork), .space = space()->id()});
  const Space other = new_space();
  for (unsigned n = 0; n < 2000; ++n) {
    const Space child = fork();
    const Space of_another = fork(other);
  }
  EXPECT_EQ(memory().trace().count(), 2000U);
  const std::vector<TraceRecord> last = records();
  ASSERT_GT(last.size(), 1000U);
  for (std::size_t n = 0; n < last.size(); ++n) EXPECT_EQ(last[n].number, 2000 - last.size() + n);
  memory().trace().stop();
  const Space child = fork();
  EXPECT_EQ(memory().trace().count(), 2000U);
}

/// Forks with a window; which spans of 2 MiB the child shares a leaf table with its parent in.
class ShareWindow : public MachineTest {
 protected:
  static constexpr unsigned kSpans = 24;
  ShareWindow() { space_config_.fork_mode = ForkMode::kLeaf; }
  void SetUp() override {
    map_pages(space(), 0, kSpans * kSpan);
    for (unsigned n = 0; n < kSpans; ++n) fill(space(), n * kSpan, 1);
  }
  void TearDown() override {
    memory().set_share_window(0, ~std::uint64_t{0});
    MachineTest::TearDown();
  }
  std::vector<unsigned> shared_with(std::uint64_t first, std::uint64_t last) {
    memory().set_share_window(first, last);
    const Space child = fork();
    std::vector<unsigned> shared;
    for (unsigned n = 0; n < kSpans; ++n) {
      const Path mine = path_to(*space(), at(n * kSpan)), its = path_to(*child, at(n * kSpan));
      if (mine.tables[mine.depth - 1] == its.tables[its.depth - 1]) shared.push_back(n);
      EXPECT_EQ(peek(child, n * kSpan), n * kSpan + 1);
    }
    poke(child, 0, 77);
    EXPECT_EQ(peek(space(), 0), 1U);
    return shared;
  }
};

// Rows: S0.59
TEST_F(ShareWindow, SharesNothingOutsideIt) {
  EXPECT_EQ(shared_with(0, ~std::uint64_t{0}).size(), kSpans);
  EXPECT_TRUE(shared_with(1000, 2000).empty());
  for (std::uint64_t k = 0; k < kSpans; ++k) EXPECT_EQ(shared_with(k, k).size(), 1U) << k;
  EXPECT_EQ(shared_with(3, 9).size(), 7U);
}

// Rows: S0.59
TEST_F(ShareWindow, FindsTheTableThatAFaultDependsOn) {
  constexpr unsigned kBad = 17;
  const auto fails = [&](std::uint64_t first, std::uint64_t last) {
    const std::vector<unsigned> shared = shared_with(first, last);
    return std::ranges::find(shared, kBad) != shared.end();  // what goes wrong if this table is shared
  };
  std::uint64_t first = 0, last = 63;
  while (first != last) {
    const std::uint64_t middle = first + (last - first) / 2;
    if (fails(first, middle)) {
      last = middle;
    } else {
      first = middle + 1;
    }
  }
  EXPECT_EQ(shared_with(first, first), std::vector<unsigned>{kBad});
}

}  // namespace
}  // namespace quire::test
