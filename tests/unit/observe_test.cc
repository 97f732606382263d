// What programs are told of memory: mappings of pages and tables by all the ways that lead to them.
#include "quire/space/observe.h"

#include <optional>
#include <vector>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;  ///< pages under one level-1 table of x86-64
constexpr std::uint64_t kWhole = pss_of_page(1);

class Observe : public EveryMode {
 protected:
  [[nodiscard]] RangeFigures measure(const Space& where, std::uint64_t first, std::uint64_t pages) {
    return Observer(*where).measure(VirtRange(at(first), PageCount(pages).bytes()));
  }
  [[nodiscard]] PageState look(const Space& where, std::uint64_t page) {
    PageState state;
    Observer(*where).look(at(page), {&state, 1});
    return state;
  }
  static constexpr MapStyle kShared{.flags = uapi::kMapShared};
};
QUIRE_IN_EVERY_MODE(Observe);

// Rows: S3.31
TEST_P(Observe, CountsWhatIsTouchedAndNoZeros) {
  map("AAAAAA");
  fill(space(), 0, 2);
  EXPECT_EQ(peek(space(), 2), 0U);
  const RangeFigures figures = measure(space(), 0, 6);
  EXPECT_EQ(figures.resident.raw(), 2U);
  EXPECT_EQ(figures.anonymous.raw(), 2U);
  EXPECT_EQ(figures.private_dirty.raw(), 2U);
  EXPECT_EQ(figures.shared_dirty.raw() + figures.shared_clean.raw() + figures.private_clean.raw(),
            0U);
  EXPECT_EQ(figures.pss, 2 * kWhole);
  EXPECT_EQ(figures.pss_anon, 2 * kWhole);
  EXPECT_TRUE(look(space(), 0).exclusive);
  const PageState zero = look(space(), 2);
  EXPECT_TRUE(zero.present);
  EXPECT_FALSE(zero.exclusive || zero.of_object || zero.counted);
  EXPECT_FALSE(look(space(), 3).present);
}

// Rows: S0.17 X8
TEST_P(Observe, CountsAPageOncePerSpaceHoweverTheTablesAreShared) {
  map("AAAA");
  fill(space(), 0, 4);
  std::vector<Space> children;
  for (std::uint32_t n = 2; n <= 5; ++n) {
    children.push_back(fork());
    EXPECT_EQ(look(space(), 0).mappings, n);
    EXPECT_FALSE(look(children.back(), 0).exclusive);
    EXPECT_EQ(measure(space(), 0, 4).pss, 4 * pss_of_page(n));
    EXPECT_EQ(measure(space(), 0, 4).shared_dirty.raw(), 4U);
  }
  poke(children[0], 1, 7);  // its own page 1; the others stay named by two tables
  EXPECT_TRUE(look(children[0], 1).exclusive);
  EXPECT_EQ(look(children[0], 2).mappings, 5U);
  EXPECT_EQ(look(space(), 1).mappings, 4U);
  EXPECT_EQ(look(children[3], 2).mappings, 5U);
  children.erase(children.begin() + 1, children.end());
  EXPECT_EQ(look(space(), 2).mappings, 2U);
  EXPECT_EQ(look(space(), 1).mappings, 1U);
  EXPECT_TRUE(look(space(), 1).exclusive);
  EXPECT_EQ(peek(space(), 3), 4U);  // the processor lets go of the child
  children.clear();
  EXPECT_TRUE(look(space(), 2).exclusive);
}

// Rows: X8
TEST_P(Observe, CountsSpacesAndNotParents) {
  // A table named by two tables, one of which is named by three: four spaces, not six.
  ASSERT_TRUE(map_pages(space(), 0, 2 * kSpan));
  fill(space(), 0, 1);
  fill(space(), kSpan, 1);
  const Space b = fork();
  const Space c = fork();
  const Space d = fork();
  poke(d, kSpan, 1);  // unshares the path, so that d's tables name the others' below
  EXPECT_EQ(look(space(), 0).mappings, 4U);
  EXPECT_EQ(look(d, 0).mappings, 4U);
  EXPECT_EQ(look(c, kSpan).mappings, 3U);
  EXPECT_EQ(look(d, kSpan).mappings, 1U);
  EXPECT_EQ(measure(d, 0, 2 * kSpan).pss, pss_of_page(4) + kWhole);
}

// Rows: X8
TEST_P(Observe, DividesPagesOfAnObjectByAllWhoMapThem) {
  map("SSS", kShared);
  fill(space(), 0, 3);
  EXPECT_TRUE(look(space(), 0).exclusive);
  EXPECT_TRUE(look(space(), 0).of_object);
  const Space child = fork();
  EXPECT_EQ(look(child, 0).mappings, 2U);
  EXPECT_EQ(measure(child, 0, 3).pss_shmem, 3 * pss_of_page(2));
  EXPECT_EQ(measure(child, 0, 3).anonymous.raw(), 0U);
  ASSERT_TRUE(unmap(space(), 1, 1));
  EXPECT_TRUE(look(child, 1).exclusive);
}

// Rows: X8
TEST_P(Observe, AsksEachObjectOfATable) {
  for (std::uint64_t n = 0; n < 40; ++n) ASSERT_TRUE(map_pages(space(), n, 1, kShared));
  fill(space(), 0, 40);
  const Space child = fork();
  poke(child, 0, 1);
  const RangeFigures figures = measure(child, 0, 40);
  EXPECT_EQ(figures.resident.raw(), 40U);
  EXPECT_EQ(figures.pss, 40 * pss_of_page(2));
  EXPECT_EQ(figures.most_mappings, 2U);
}

// Rows: S3.31
TEST_P(Observe, ShowsPagesWithoutAccess) {
  map("AA");
  fill(space(), 0, 2);
  ASSERT_TRUE(protect(space(), 0, 2, 0));
  EXPECT_EQ(measure(space(), 0, 2).private_dirty.raw(), 2U);
  EXPECT_TRUE(look(space(), 0).present);
  ASSERT_TRUE(advise(space(), 0, 1, uapi::kMadvDontNeed));
  EXPECT_EQ(measure(space(), 0, 2).resident.raw(), 1U);
  EXPECT_FALSE(look(space(), 0).present);
}

// Rows: S1.21 X8
TEST_P(Observe, DividesTablesByTheSpacesThatReachThem) {
  ASSERT_TRUE(map_pages(space(), 0, 8 * kSpan));
  for (std::uint64_t n = 0; n < 8; ++n) fill(space(), n * kSpan, 1);
  std::vector<Space> all;
  for (int n = 0; n < 5; ++n) all.push_back(fork());
  poke(all[1], 0, 3);
  poke(all[3], 3 * kSpan, 3);
  std::uint64_t pss = 0, met = 0;
  const auto add = [&](const Space& each) {
    const TableFigures figures = Observer(*each).tables();
    EXPECT_EQ(figures.tables, each->usage().tables);
    EXPECT_EQ(figures.shared, each->shared_tables());
    pss += figures.pss;
    met += figures.tables.raw();
  };
  add(space());
  for (const Space& each : all) add(each);
  const std::uint64_t in_use = memory().tables_in_use().raw() * kWhole;
  const std::uint64_t shared = count_shared_tables(memory()).raw();
  if (GetParam() == ForkMode::kCopy) {
    EXPECT_EQ(shared, 0U);
  } else {
    EXPECT_GE(shared, 8U);
    EXPECT_LT(shared, memory().tables_in_use().raw());
  }
  EXPECT_LE(pss, in_use);
  EXPECT_LE(in_use - pss, 6 * met);
}

TEST_P(Observe, ListsEveryTableOnceInOrder) {
  ASSERT_TRUE(map_pages(space(), 0, 4 * kSpan));
  for (std::uint64_t n = 0; n < 3; ++n) fill(space(), n * kSpan, 1);
  EXPECT_EQ(peek(space(), 3 * kSpan), 0U);  // a table of zeros
  const Space child = fork();
  const Space* const both[] = {&space(), &child};
  for (const Space* each : both) {
    Observer observer(**each);
    std::optional<TableRecord> record;
    std::uint64_t tables = 0, zero_tables = 0, leaves = 0;
    VirtAddr last;
    while (observer.next_table(record)) {
      EXPECT_LE(last.raw(), record->range.begin().raw());
      last = record->range.begin();
      zero_tables += record->zero ? 1 : 0;
      tables += record->zero ? 0 : 1;
      leaves += record->leaves[static_cast<unsigned>(LeafClass::kAnon)];
      if (record->level == memory().geometry().root_level()) {
        EXPECT_EQ(record->reach, 1U);
      }
      if (!record->zero && record->level == kLeafLevel) {
        EXPECT_EQ(record->reach, GetParam() == ForkMode::kCopy ? 1U : 2U);
      }
    }
    EXPECT_EQ(tables, (*each)->usage().tables.raw());
    EXPECT_EQ(zero_tables, 1U);
    EXPECT_EQ(leaves, 3U);
  }
}

TEST_P(Observe, GivesUserSpaceAndNothingBeyond) {
  PageState states[4];
  const VirtAddr top = memory().geometry().user_top();
  Observer(*space()).look(top - PageCount(2).bytes(), states);
  for (const PageState& state : states) EXPECT_FALSE(state.present);
  EXPECT_EQ(
      Observer(*space()).measure(VirtRange(VirtAddr(0), top + ByteCount(kPageSize))).resident.raw(),
      0U);
}

// Families share nothing but objects.
TEST_P(Observe, LeavesOtherFamiliesAlone) {
  map("A");
  fill(space(), 0, 1);
  const Space child = fork();
  Space stranger = new_space();
  map(stranger, "A");
  fill(stranger, 0, 1);
  EXPECT_NE(stranger->family(), space()->family());
  EXPECT_EQ(child->family(), space()->family());
  EXPECT_TRUE(look(stranger, 0).exclusive);
  EXPECT_EQ(look(child, 0).mappings, 2U);
}

// Rows: S0.62
TEST_P(Observe, TellsWhatWasTouchedSinceItWasAsked) {
  using Pages = AddressSpace::Pages;
  map("AAAASS");
  map("....SS", kShared);
  fill(space(), 0, 6);
  EXPECT_EQ(measure(space(), 0, 6).referenced.raw(), 6U);
  space()->forget_references(Pages::kOfObjects);
  EXPECT_EQ(measure(space(), 0, 4).referenced.raw(), 4U);
  EXPECT_EQ(measure(space(), 4, 2).referenced.raw(), 0U);
  space()->forget_references(Pages::kPrivate);
  EXPECT_EQ(measure(space(), 0, 6).referenced.raw(), 0U);
  EXPECT_EQ(peek(space(), 1), 2U);
  poke(space(), 5, 1);
  EXPECT_EQ(measure(space(), 0, 6).referenced.raw(), 2U);
  EXPECT_EQ(measure(space(), 0, 6).private_dirty.raw(), 6U) << "nothing else is forgotten";
  const Space child = fork();
  child->forget_references(Pages::kAll);
  EXPECT_EQ(measure(child, 0, 6).referenced.raw(), 0U);
  poke(child, 0, 9);
  EXPECT_EQ(measure(child, 0, 6).referenced.raw(), 1U);
  EXPECT_EQ(peek(space(), 0), 1U);
}

TEST_P(Observe, BeginsThePeakAnew) {
  map("AAAA");
  fill(space(), 0, 4);
  ASSERT_TRUE(advise(space(), 0, 3, uapi::kMadvDontNeed));
  EXPECT_EQ(space()->usage().rss_peak.raw(), 4U);
  space()->reset_peak();
  EXPECT_EQ(space()->usage().rss_peak.raw(), 1U);
}

// Rows: X8
TEST_P(Observe, CountsTheMappingsOfFrames) {
  map("AASS");
  map("..SS", kShared);
  fill(space(), 0, 4);
  const Space child = fork();
  poke(child, 0, 5);
  const Pfn own = path_to(*child, at(0)).leaf, both = path_to(*space(), at(1)).leaf,
            shared = path_to(*space(), at(2)).leaf;
  std::vector<std::uint32_t> counts(memory().config().frames.raw());
  count_mappings(memory(), Pfn(0), counts);
  EXPECT_EQ(counts[own.raw()], 1U);
  EXPECT_EQ(counts[both.raw()], 2U);
  EXPECT_EQ(counts[shared.raw()], 2U);
  std::uint64_t total = 0;
  for (const std::uint32_t count : counts) total += count;
  const FrameFigures frames = count_frames(memory());
  EXPECT_EQ(frames.anon.raw(), 3U);
  EXPECT_EQ(frames.mapped_objects.raw(), 2U);
  EXPECT_EQ(total, space()->usage().rss().raw() + child->usage().rss().raw());
}

}  // namespace
}  // namespace quire::test
