// Tables that objects lend to those who map whole spans of them (docs/decisions/0012-lent-tables.md).
#include <optional>
#include <vector>

#include "quire/space/hold.h"
#include "support/file.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kRead = uapi::kProtRead, kWrite = uapi::kProtWrite, kExec = uapi::kProtExec;
/// Pages below a leaf table, and below a table above.
constexpr std::uint64_t kSpan = 512, kUpperSpan = kSpan * 512;

class Lent : public EveryMode {
 protected:
  Lent() { machine_config_.contents = Contents::kReal; }
  void TearDown() override {
    object_.reset();
    file_.reset();
    EveryMode::TearDown();
  }
  /// Memory of 1 GiB without a file behind it.
  FileObject& object() {
    if (!object_) object_.emplace(memory(), FileObject::Config{.size = PageCount(kUpperSpan).bytes()});
    return **object_;
  }
  /// A file of two spans.
  FileObject& file() {
    if (!source_) source_.emplace(memory());
    if (!file_) {
      file_.emplace(memory(),
                    FileObject::Config{
                        .leaf_class = LeafClass::kFile, .size = PageCount(2 * kSpan).bytes(), .account = &*source_, .source = &*source_});
    }
    return **file_;
  }
  TestSource& source() { return *source_; }
  void map_object(const Space& where, FileObject& what, std::uint64_t column, std::uint64_t pages, std::uint32_t prot = kRead | kWrite,
                  std::uint32_t flags = uapi::kMapShared, std::uint64_t first = 0) {
    MmapRequest request;
    request.address = at(column);
    request.length = PageCount(pages).bytes();
    request.prot = prot;
    request.flags = flags | uapi::kMapFixed;
    request.object = &what;
    request.offset = PageIndex(first);
    ASSERT_TRUE(where->mmap(request).has_value());
  }
  /// Where a span of an upper table begins.
  [[nodiscard]] std::uint64_t upper_column() { return (kUpperSpan - base().raw() / kPageSize % kUpperSpan) % kUpperSpan; }
  [[nodiscard]] Pfn leaf_table_of(const Space& where, std::uint64_t column) {
    const Path path = path_to(*where, at(column));
    return path.depth == 0 ? Pfn(0) : path.tables[path.depth - 1];
  }
  [[nodiscard]] bool is_lent(const Space& where, std::uint64_t column) { return memory().frame(leaf_table_of(where, column)).is_lent(); }
  [[nodiscard]] std::uint64_t faults() { return counter(Counter::kFaultMinor); }

 private:
  std::optional<TestSource> source_;
  std::optional<ObjectUser> object_, file_;
};
QUIRE_IN_EVERY_MODE(Lent);

// Rows: X12 S0.14 S0.21
TEST_P(Lent, ServeTheSecondProcessWithoutAFaultForEachPage) {
  map_object(space(), object(), 0, kSpan);
  fill(space(), 0, kSpan);
  const Space other = new_space();
  map_object(other, object(), 0, kSpan);
  const std::uint64_t before = faults();
  for (std::uint64_t n = 0; n < kSpan; ++n) EXPECT_EQ(peek(other, n), n + 1);
  EXPECT_EQ(faults() - before, 1U);
  EXPECT_EQ(leaf_table_of(space(), 0), leaf_table_of(other, 0));
  EXPECT_EQ(counter(Counter::kLend), 1U);
  EXPECT_EQ(other->usage().rss_shmem.raw(), kSpan);
  poke(other, 7, 70);
  EXPECT_EQ(peek(space(), 7), 70U);
  EXPECT_EQ(faults() - before, 1U);
}

// Rows: X12
TEST_P(Lent, CoverAWholeUpperSpanWithOneEntry) {
  const std::uint64_t far = upper_column();
  map_object(space(), object(), far, kUpperSpan);
  for (std::uint64_t n = 0; n < 8; ++n) poke(space(), far + n * kSpan, n + 1);
  const Space other = new_space();
  map_object(other, object(), far, kUpperSpan);
  const std::uint64_t before = faults();
  for (std::uint64_t n = 0; n < 8; ++n) EXPECT_EQ(peek(other, far + n * kSpan), n + 1);
  EXPECT_EQ(faults() - before, 1U);
  poke(other, far + 9 * kSpan, 10);  // filled for both
  const std::uint64_t after = faults();
  EXPECT_EQ(peek(space(), far + 9 * kSpan), 10U);
  EXPECT_EQ(faults(), after);
  EXPECT_EQ(space()->usage().rss_shmem.raw(), 9U);
  EXPECT_EQ(object().lent_tables().raw(), 10U);
}

// Rows: S2.40
TEST_P(Lent, AreLeftByWhoUnmapsAPart) {
  map_object(space(), object(), 0, kSpan);
  fill(space(), 0, 3);
  const Space other = new_space();
  map_object(other, object(), 0, kSpan);
  EXPECT_EQ(peek(other, 0), 1U);
  ASSERT_TRUE(unmap(const_cast<Space&>(other), 1, 1));
  EXPECT_FALSE(is_lent(other, 0));
  EXPECT_TRUE(is_lent(space(), 0));
  EXPECT_EQ(outcome(other, 1, Access::kRead), FaultOutcome::kMapError);
  EXPECT_EQ(peek(space(), 1), 2U);
  EXPECT_EQ(peek(other, 2), 3U);
  poke(other, 2, 30);
  EXPECT_EQ(peek(space(), 2), 30U);
}

// Rows: S2.34
TEST_P(Lent, AreLeftByWhoTakesRightsAway) {
  map_object(space(), object(), 0, kSpan);
  const Space other = new_space();
  map_object(other, object(), 0, kSpan);
  fill(space(), 0, 2);
  EXPECT_EQ(peek(other, 0), 1U);
  ASSERT_TRUE(protect(const_cast<Space&>(other), 0, kSpan, kRead));
  EXPECT_EQ(outcome(other, 0, Access::kWrite), FaultOutcome::kAccessError);
  EXPECT_EQ(peek(other, 1), 2U);
  poke(space(), 0, 11);
  EXPECT_EQ(peek(other, 0), 11U);
}

TEST_P(Lent, GiveWayToTablesLentForMoreRights) {
  map_object(space(), object(), 0, kSpan, kRead);
  EXPECT_EQ(peek(space(), 0), 0U);
  EXPECT_TRUE(is_lent(space(), 0));
  ASSERT_TRUE(protect(space(), 0, kSpan, kRead | kWrite));
  poke(space(), 0, 5);
  EXPECT_TRUE(is_lent(space(), 0));
  EXPECT_EQ(object().lent_tables().raw(), 2U);
  EXPECT_EQ(peek(space(), 0), 5U);
}

TEST_P(Lent, AreNotTakenUpByWhoHasStoppedBorrowing) {
  map_object(space(), object(), 0, kSpan, kRead);
  EXPECT_EQ(peek(space(), 0), 0U);
  space()->set_borrowing(false);
  ASSERT_TRUE(protect(space(), 0, kSpan, kRead | kWrite));
  poke(space(), 0, 5);
  EXPECT_FALSE(is_lent(space(), 0));
  EXPECT_EQ(object().lent_tables().raw(), 1U);
}

// Rows: S0.31
TEST_P(Lent, AreCountedAnewWhenOthersFillThem) {
  const Space other = new_space();
  map_object(space(), object(), 0, kSpan);
  map_object(other, object(), 0, kSpan);
  poke(space(), 0, 1);
  EXPECT_EQ(other->usage().rss_shmem.raw(), 0U);
  EXPECT_EQ(peek(other, 0), 1U);
  EXPECT_EQ(other->usage().rss_shmem.raw(), 1U);
  poke(space(), 1, 2);
  EXPECT_EQ(other->usage().rss_shmem.raw(), 2U);
}

TEST_P(Lent, AreNotCountedByWhoLeftThemAndGotNoOther) {
  map_object(space(), object(), 0, kSpan, kRead);
  EXPECT_EQ(peek(space(), 0), 0U);
  ASSERT_TRUE(protect(space(), 0, kSpan, kRead | kWrite));
  EXPECT_EQ(space()->usage().rss_shmem.raw(), 1U);
  memory().pool().fail_after(1);
  EXPECT_EQ(outcome(space(), 0, Access::kWrite), FaultOutcome::kOutOfMemory);
  memory().pool().fail_after(0);
  EXPECT_EQ(space()->usage().rss_shmem.raw(), path_to(*space(), at(0)).has_leaf ? 1U : 0U);
}

// Rows: S0.31
TEST_P(Lent, BelowUpperOnesAreCountedAnewWhenOthersAddThem) {
  const std::uint64_t far = upper_column();
  const Space other = new_space(), third = new_space();
  map_object(space(), object(), far, kUpperSpan);
  map_object(other, object(), far, kUpperSpan);
  map_object(third, object(), 0, kSpan, kRead | kWrite, uapi::kMapShared, kSpan);
  poke(third, 0, 1);
  EXPECT_EQ(peek(space(), far), 0U);
  EXPECT_EQ(peek(other, far), 0U);
  const Usage before = other->usage();
  EXPECT_EQ(peek(space(), far + kSpan), 1U);  // names for both the table that the third filled
  EXPECT_EQ(other->usage().rss_shmem.raw(), before.rss_shmem.raw() + 1);
  EXPECT_EQ(other->usage().tables.raw(), before.tables.raw() + 1);
}

// What goes before it was ever counted is not taken off a figure that did not have it.
TEST_P(Lent, LeaveThePeakAlone) {
  map_object(space(), object(), 0, kSpan);
  fill(space(), 0, kSpan);
  const Space other = new_space();
  map_object(other, object(), 0, kSpan);
  EXPECT_EQ(peek(other, 0), 1U);
  ASSERT_TRUE(unmap(const_cast<Space&>(other), 0, kSpan));
  EXPECT_LE(other->usage().rss_peak.raw(), kSpan);
}

// Rows: S2.40
TEST_P(Lent, StayAsTheyAreForWhoHasLockedThem) {
  map_object(space(), object(), 0, kSpan, kRead);
  Limits limits;
  space()->set_limits(limits);
  ASSERT_TRUE(space()->mlock(at(0), PageCount(kSpan).bytes(), LockWhen::kNow));
  ASSERT_TRUE(protect(space(), 0, kSpan, kRead | kWrite));
  poke(space(), 0, 1);  // has rights of its own now
  const std::uint64_t before = faults();
  for (std::uint64_t n = 0; n < kSpan; ++n) static_cast<void>(peek(space(), n));
  EXPECT_EQ(faults(), before) << "locked memory is there";
}

// Rows: S2.30
TEST_P(Lent, NeverHoldWhatAPrivateMappingWrote) {
  map_object(space(), file(), 0, kSpan, kRead | kWrite, uapi::kMapPrivate);
  poke(space(), 3, 33);
  ASSERT_TRUE(protect(space(), 0, kSpan, kRead));
  EXPECT_EQ(peek(space(), 3), 33U);
  EXPECT_FALSE(is_lent(space(), 3));
  const Space other = new_space();
  map_object(other, file(), 0, kSpan, kRead, uapi::kMapPrivate);
  EXPECT_EQ(peek(other, 3), TestSource::value_of(3));
  EXPECT_TRUE(is_lent(other, 3));
  ASSERT_TRUE(protect(const_cast<Space&>(other), 0, kSpan, kRead | kWrite));
  poke(other, 3, 44);
  EXPECT_FALSE(is_lent(other, 3));
  EXPECT_EQ(peek(space(), 3), 33U);
}

TEST_P(Lent, AreOnePerRights) {
  map_object(space(), file(), 0, kSpan, kRead, uapi::kMapPrivate);
  map_object(space(), file(), kSpan, kSpan, kRead | kExec, uapi::kMapPrivate);
  map_object(space(), file(), 2 * kSpan, kSpan, kRead, uapi::kMapShared);
  EXPECT_EQ(peek(space(), 0), TestSource::value_of(0));
  EXPECT_EQ(outcome(space(), 0, Access::kExecute), FaultOutcome::kAccessError);
  EXPECT_EQ(outcome(space(), kSpan, Access::kExecute), FaultOutcome::kMinor);
  EXPECT_EQ(peek(space(), 2 * kSpan), TestSource::value_of(0));
  EXPECT_EQ(leaf_table_of(space(), 0), leaf_table_of(space(), 2 * kSpan));
  EXPECT_NE(leaf_table_of(space(), 0), leaf_table_of(space(), kSpan));
}

TEST_P(Lent, NeedCongruentPlacesAndWholeSpans) {
  map_object(space(), object(), 1, 2 * kSpan);  // not congruent
  map_object(space(), object(), 4 * kSpan, kSpan - 1);
  poke(space(), 1, 1);
  poke(space(), kSpan + 1, 2);
  poke(space(), 4 * kSpan, 3);
  EXPECT_EQ(counter(Counter::kLend), 0U);
}

// Rows: S4.17
TEST_P(Lent, TellTheirFileOfTheFirstWrite) {
  map_object(space(), file(), 0, kSpan);
  EXPECT_EQ(peek(space(), 0), TestSource::value_of(0));
  EXPECT_TRUE(is_lent(space(), 0));
  EXPECT_EQ(source().charged, 0U);
  poke(space(), 0, 1);
  EXPECT_EQ(source().charged, 1U);
  source().budget = 1;
  EXPECT_EQ(outcome(space(), 1, Access::kWrite), FaultOutcome::kBusError);
  EXPECT_EQ(peek(space(), 1), TestSource::value_of(1));
}

// Rows: S2.47 S4.35 R12
TEST_P(Lent, LoseWhatIsCutOffOnceForAll) {
  map_object(space(), file(), 0, kSpan);
  std::vector<Space> others;
  for (int n = 0; n < 8; ++n) {
    others.push_back(new_space());
    map_object(others.back(), file(), 0, kSpan);
    static_cast<void>(peek(others.back(), 5));
  }
  EXPECT_EQ(others[3]->usage().rss_file.raw(), 1U);
  file().resize(PageCount(2).bytes());
  EXPECT_EQ(others[3]->usage().rss_file.raw(), 0U);
  EXPECT_EQ(outcome(others[3], 5, Access::kRead), FaultOutcome::kBusError);
}

// Rows: R12
TEST_P(Lent, LoseWhatIsCutOffBelowAnUpperOne) {
  const std::uint64_t far = upper_column();
  map_object(space(), object(), far, kUpperSpan);
  for (std::uint64_t n = 0; n < 8; ++n) poke(space(), far + n * kSpan, n + 1);
  const Space other = new_space();
  map_object(other, object(), far, kUpperSpan);
  EXPECT_EQ(peek(other, far), 1U);
  object().resize(PageCount(1).bytes());
  EXPECT_EQ(other->usage().rss_shmem.raw(), 1U);
  EXPECT_EQ(outcome(other, far + 1, Access::kRead), FaultOutcome::kBusError);
  object().resize(PageCount(kUpperSpan).bytes());
  poke(other, far + kSpan, 20);
  EXPECT_EQ(peek(space(), far + kSpan), 20U);
  EXPECT_EQ(peek(space(), far + 2 * kSpan), 0U);
}

// Rows: S0.35
TEST_P(Lent, AreSharedByForkWithoutLosingWrite) {
  map_object(space(), object(), 0, kSpan);
  fill(space(), 0, 2);
  const Space child = fork();
  poke(child, 0, 7);
  EXPECT_EQ(peek(space(), 0), 7U);
  poke(child, 5, 8);
  EXPECT_EQ(peek(space(), 5), 8U);
  EXPECT_EQ(leaf_table_of(space(), 0), leaf_table_of(child, 0));
  EXPECT_EQ(counter(Counter::kUnshareFault) == 0 || GetParam() == ForkMode::kTree, true);
}

// Rows: X17
TEST_P(Lent, AreGivenUpWhenNobodyUsesThem) {
  map_object(space(), object(), 0, kSpan);
  fill(space(), 0, 2);
  ASSERT_TRUE(unmap(space(), 0, kSpan));
  EXPECT_EQ(object().lent_tables().raw(), 1U);
  const Space other = new_space();
  map_object(other, object(), 0, kSpan);
  EXPECT_EQ(peek(other, 1), 2U);
  EXPECT_EQ(object().drop_idle_tables().raw(), 0U);
  ASSERT_TRUE(unmap(const_cast<Space&>(other), 0, kSpan));
  EXPECT_EQ(object().drop_idle_tables().raw(), 1U);
  EXPECT_EQ(object().lent_tables().raw(), 0U);
}

TEST_P(Lent, KeepNoCleanPagesFromBeingDropped) {
  map_object(space(), file(), 0, kSpan);
  static_cast<void>(peek(space(), 5));
  EXPECT_EQ(file().drop_clean().raw(), 0U) << "it is mapped";
  ASSERT_TRUE(unmap(space(), 0, kSpan));
  EXPECT_EQ(file().drop_clean().raw(), 1U);
}

TEST_P(Lent, MoveByPointerWhereTheyStayCongruent) {
  map_object(space(), object(), 0, kSpan);
  fill(space(), 0, 2);
  const Pfn table = leaf_table_of(space(), 0);
  MremapRequest request{.old_address = at(0), .old_length = PageCount(kSpan).bytes(), .new_length = PageCount(kSpan).bytes(),
                        .flags = uapi::kMremapMayMove | uapi::kMremapFixed, .new_address = at(4 * kSpan)};
  ASSERT_TRUE(space()->mremap(request).has_value());
  EXPECT_EQ(leaf_table_of(space(), 4 * kSpan), table);
  EXPECT_EQ(peek(space(), 4 * kSpan + 1), 2U);
  request.old_address = at(4 * kSpan);
  request.new_address = at(8 * kSpan + 1);
  ASSERT_TRUE(space()->mremap(request).has_value());
  EXPECT_EQ(peek(space(), 8 * kSpan + 2), 2U);
  poke(space(), 8 * kSpan + 2, 20);
  const Space other = new_space();
  map_object(other, object(), 0, kSpan);
  EXPECT_EQ(peek(other, 1), 20U);
}

TEST_P(Lent, LetWritersFromOutsideThrough) {
  map_object(space(), object(), 0, kSpan);
  const Space other = new_space();
  map_object(other, object(), 0, kSpan);
  fill(space(), 0, 1);
  EXPECT_EQ(peek(other, 0), 1U);
  auto hold = other->hold(at(0), Access::kWrite, HoldKind::kPin);
  ASSERT_TRUE(hold.has_value());
  const std::uint64_t value = 99;
  __builtin_memcpy(hold->contents(), &value, sizeof value);
  EXPECT_EQ(peek(space(), 0), 99U);
}

TEST_P(Lent, AreAMatterOfPolicy) {
  space_config_.borrow_tables = false;
  map_object(space(), object(), 0, kSpan);
  fill(space(), 0, 2);
  EXPECT_EQ(counter(Counter::kLend), 0U);
  const Space child = fork();
  EXPECT_FALSE(child->borrows());
  child->set_borrowing(true);
  map_object(child, object(), kSpan, kSpan);
  poke(child, kSpan + 1, 1);
  EXPECT_EQ(counter(Counter::kLend), 1U);
  map_object(child, object(), 2 * kSpan, kSpan, kRead);
  ASSERT_TRUE(advise(const_cast<Space&>(child), 2 * kSpan, kSpan, uapi::kMadvForkCopies));
  static_cast<void>(peek(child, 2 * kSpan));
  EXPECT_EQ(counter(Counter::kLend), 1U);
}

// Only who borrows has its memory placed where tables can be lent.
TEST_P(Lent, DecideWhereMemoryIsPlaced) {
  for (const bool borrows : {true, false}) {
    space_config_.borrow_tables = borrows;
    const Space where = new_space();
    MmapRequest request;
    request.length = PageCount(1).bytes();
    request.prot = kRead;
    request.flags = uapi::kMapShared;
    request.object = &object();
    const auto first = where->mmap(request);
    request.length = PageCount(kSpan).bytes();
    const auto second = where->mmap(request);
    ASSERT_TRUE(first.has_value() && second.has_value());
    EXPECT_EQ(second->raw() % request.length.raw() == 0, borrows);
    EXPECT_EQ((*second + request.length) == *first, !borrows);
  }
}

class ManyBorrowers : public MachineTest {
 protected:
  ManyBorrowers() {
    machine_config_ = {.memory = ByteCount(std::uint64_t{2} << 30), .contents = Contents::kNone};
    space_config_.mmap_top = VirtAddr(std::uint64_t{1} << 40);
  }
};

// What 1,500 processes of a database of 300 GiB need (seed 002): tables for its memory once, and two of its own for each.
// Rows: X12 S0.35
TEST_F(ManyBorrowers, HaveTwoTablesEach) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30, kSize = 300 * kGiB, kProcesses = 1500;
  const ObjectUser object(memory(), {.size = ByteCount(kSize)});
  const std::uint64_t before = memory().tables_in_use().raw();
  std::vector<Space> processes;
  for (std::uint64_t n = 0; n < kProcesses; ++n) {
    auto made = machine().create_space(space_config_);
    ASSERT_TRUE(made.has_value());
    processes.push_back(std::move(*made));
    MmapRequest request;
    request.length = ByteCount(kSize);
    request.prot = kRead | kWrite;
    request.flags = uapi::kMapShared;
    request.object = &*object;
    const auto at = processes.back()->mmap(request);
    ASSERT_TRUE(at.has_value());
    // The first touches every table's span, the others one page for each of the upper tables.
    const std::uint64_t step = n == 0 ? PageCount(kSpan).bytes().raw() : kGiB;
    for (std::uint64_t offset = 0; offset < kSize; offset += step) {
      ASSERT_EQ(processes.back()->fault(*at + ByteCount(offset), Access::kWrite), FaultOutcome::kMinor);
    }
  }
  const std::uint64_t tables = memory().tables_in_use().raw() - before;
  EXPECT_EQ(tables, 300 * 512 + 300 + 2 * kProcesses);
  EXPECT_LT(tables * kPageSize, std::uint64_t{700} << 20);
}

}  // namespace
}  // namespace quire::test
