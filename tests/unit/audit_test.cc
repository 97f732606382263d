// The audit and the lock check: each must see what it is there to see.
#include "quire/audit/audit.h"
#include "quire/base/lock.h"
#include "support/fixture.h"
#include "support/panic.h"

namespace quire::test {
namespace {

class AuditSees : public MachineTest {
 protected:
  AuditSees() = default;
  void SetUp() override {
    map_pages(space(), 0, 600);
    fill(space(), 0, 4);
    (void)peek(space(), 5);
  }
  [[nodiscard]] Frame& table(unsigned level) {
    return memory().frame(path_to(*space(), at(0)).tables[3 - level]);
  }
  [[nodiscard]] Frame& leaf() { return memory().frame(path_to(*space(), at(0)).leaf); }
  [[nodiscard]] std::uint64_t* leaf_entry(AddressSpace& where, std::uint64_t page) {
    const Path path = path_to(where, at(page));
    return reinterpret_cast<std::uint64_t*>(memory().window(path.tables[path.depth - 1])) +
           memory().geometry().slot_of(at(page), kLeafLevel);
  }
  /// Expects a finding of `invariant`.
  void expect(const char* invariant) {
    const std::string findings = audit_findings(machine());
    EXPECT_NE(findings.find(std::string(invariant) + ":"), std::string::npos)
        << "findings: " << findings;
  }
};

// Rows: S0.60
TEST_F(AuditSees, AWrongShareCount) {
  table(1).table.share.value_ += 1;
  expect("I1");
  table(1).table.share.value_ -= 1;
}

// Rows: S0.60 I3
TEST_F(AuditSees, AWriteBitAboveASharedTable) {
  const Space child = fork();
  auto* const root = reinterpret_cast<std::uint64_t*>(memory().window(space()->tlb().root));
  const Slot slot = memory().geometry().slot_of(at(0), memory().geometry().root_level());
  root[slot] |= mmu::RawEntry::kWrite;
  expect("I3");
  root[slot] &= ~mmu::RawEntry::kWrite;
}

// Rows: S0.60 I3
TEST_F(AuditSees, AWriteBitOnAPageThatTwoProcessesMap) {
  const Space child = fork();
  poke(child, 1, 9);  // tables of its own, pages shared
  std::uint64_t* const entry = leaf_entry(*child, 0);
  *entry |= mmu::RawEntry::kWrite;
  expect("I3");
  *entry &= ~mmu::RawEntry::kWrite;
}

// Rows: S0.60 S2.51
TEST_F(AuditSees, AHugePageOfAnotherSize) {
  HugePool& pool = memory().huge().of(Level(2));
  pool.set_overcommit(1);
  map_pages(space(), 1024, 512, {.flags = uapi::kMapPrivate | uapi::kMapHugeTlb});
  poke(space(), 1024, 1);
  Frame& page = memory().frame(path_to(*space(), at(1024)).leaf);
  page.flags = 0;
  expect("S2.51");
  page.flags = Frame::kLarge;
  expect_clean_audit();
  pool.set_overcommit(0);
}

// Rows: S0.60
TEST_F(AuditSees, HugePagesThatNobodyHasReserved) {
  HugePool& pool = memory().huge().of(Level(2));
  pool.reserve_again(1);
  expect("pool");
  pool.unreserve(1);
}

// Rows: S0.60 I3
TEST_F(AuditSees, AWriteBitThatTheMappingDoesNotAllow) {
  ASSERT_TRUE(protect(space(), 0, 1, uapi::kProtRead));
  std::uint64_t* const entry = leaf_entry(*space(), 0);
  *entry |= mmu::RawEntry::kWrite;
  expect("I3");
  *entry &= ~mmu::RawEntry::kWrite;
}

// Rows: S0.60 I8
TEST_F(AuditSees, ASharedLeafThatIsAnotherPageOfItsObject) {
  map_pages(space(), 700, 2, {.flags = uapi::kMapShared});
  fill(space(), 700, 2);
  std::uint64_t* const first = leaf_entry(*space(), 700);
  std::uint64_t* const second = leaf_entry(*space(), 701);
  EXPECT_EQ(audit_findings(machine()), "");
  std::swap(*first, *second);
  expect("I8");
  std::swap(*first, *second);
}

// Rows: S0.60
TEST_F(AuditSees, AWrongLeafCountOfAFrame) {
  leaf().counts.value_ += Frame::kOneLeaf;
  expect("I4");
  leaf().counts.value_ -= Frame::kOneLeaf;
}

// Rows: S0.60
TEST_F(AuditSees, AWrongCounterOfATable) {
  table(1).table.leaves[static_cast<unsigned>(LeafClass::kAnon)].value_ += 1;
  expect("I10");
  table(1).table.leaves[static_cast<unsigned>(LeafClass::kAnon)].value_ -= 1;
}

// Rows: S0.60
TEST_F(AuditSees, AnAttachmentThatDoesNotCountRight) {
  table(1).table.attachments->entries += 1;
  expect("I11");
  table(1).table.attachments->entries -= 1;
}

// Rows: S0.60 S3.7
TEST_F(AuditSees, AZeroFrameThatIsNotZero) {
  std::byte* const zero = memory().window(memory().zero().frame());
  zero[17] = std::byte{1};
  expect("I13");
  zero[17] = std::byte{0};
}

// Rows: S0.60
TEST_F(AuditSees, AFrameNobodyNames) {
  Frame* const lost = memory().pool().take_or_null(FrameUse::kUser);
  ASSERT_NE(lost, nullptr);
  expect("I6");
  memory().pool().give(lost);
}

#if defined(QUIRE_HOOKS) && QUIRE_HOOKS

class LockOrder : public ::testing::Test, protected PanicCatcher {};

// Rows: S0.1 S0.24 S2.45
TEST_F(LockOrder, StopsWhoTakesLocksInTheWrongOrder) {
  const auto rank = [](LockRank wanted) { return static_cast<unsigned>(wanted); };
  int locks[4] = {};
  EXPECT_EQ(panic_of([&] {
              hooks::lock_acquired(rank(LockRank::kMm), 1, &locks[0]);
              hooks::lock_acquired(rank(LockRank::kTable), 5, &locks[1]);
              hooks::lock_acquired(rank(LockRank::kTable), 6, &locks[2]);
              hooks::lock_acquired(rank(LockRank::kPool), 0, &locks[3]);
              for (int n = 3; n >= 0; --n) hooks::lock_released(&locks[n]);
            }),
            "");
  hooks::lock_acquired(rank(LockRank::kTable), 5, &locks[0]);
  EXPECT_NE(panic_of([&] { hooks::lock_acquired(rank(LockRank::kTable), 5, &locks[1]); }), "")
      << "equal key";
  EXPECT_NE(panic_of([&] { hooks::lock_acquired(rank(LockRank::kTable), 4, &locks[1]); }), "")
      << "descending key";
  EXPECT_NE(panic_of([&] { hooks::lock_acquired(rank(LockRank::kMm), 9, &locks[1]); }), "")
      << "lower rank";
  EXPECT_NE(panic_of([&] { hooks::may_sleep("waits under a table lock"); }), "");
  EXPECT_NE(panic_of([&] { hooks::lock_released(&locks[1]); }), "") << "not held";
  hooks::lock_released(&locks[0]);
  EXPECT_EQ(panic_of([&] { hooks::may_sleep("waits with nothing held"); }), "");
}

#endif

}  // namespace
}  // namespace quire::test
