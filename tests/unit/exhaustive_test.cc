// What can be tried in full: every combination of entry bits against an independent decoder, and
// the span helper at every size.
#include "quire/arch/entry.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

const Prot kProts[] = {Prot(0), Prot(1), Prot(2), Prot(3), Prot(4), Prot(5), Prot(6), Prot(7)};
const Writable kWritables[] = {Writable::kNo, Writable::kYes};
const LeafClass kClasses[] = {LeafClass::kNone, LeafClass::kAnon, LeafClass::kFile,
                              LeafClass::kShmem};
const Pfn kFrames[] = {Pfn(1), Pfn(0x1234), Pfn(0xFF'FFFF'FFFF)};

void expect_hardware_agrees(Entry entry, Prot prot, Writable writable, Pfn frame) {
  const mmu::RawEntry raw(entry.encoded());
  EXPECT_EQ(raw.present(), !prot.none());
  EXPECT_EQ(entry.present(), raw.present());
  EXPECT_EQ(entry.pfn(), frame);
  EXPECT_TRUE(entry.names_frame());
  if (!raw.present()) return;
  EXPECT_EQ(raw.frame(), frame);
  const mmu::Rights rights = raw.narrow({});
  EXPECT_TRUE(rights.user);
  EXPECT_EQ(rights.write, prot.write() && writable == Writable::kYes);
  EXPECT_EQ(rights.execute, prot.exec());
  EXPECT_EQ(entry.writable(), rights.write);
  EXPECT_EQ(entry.executable(), rights.execute);
  EXPECT_FALSE(raw.has_reserved_bits(kLeafLevel));
}

// Rows: S2.1 S0.41 S3.6
TEST(Entries, LeavesOfEveryKindMeanToTheHardwareWhatTheySay) {
  for (const Prot prot : kProts) {
    for (const Writable writable : kWritables) {
      for (const LeafClass leaf_class : kClasses) {
        for (const Pfn frame : kFrames) {
          const Entry leaf = Entry::leaf(frame, leaf_class, prot, writable);
          expect_hardware_agrees(leaf, prot, writable, frame);
          EXPECT_EQ(leaf.leaf_class(), leaf_class);
          EXPECT_EQ(leaf.kind_without_zero(true), EntryKind::kFrame);
          EXPECT_EQ(leaf.is_private_leaf(), leaf_class == LeafClass::kAnon);
          EXPECT_EQ(Entry::decoded(leaf.encoded()), leaf);
          for (const Prot other : kProts) {
            for (const Writable again : kWritables) {
              const Entry changed = leaf.with_prot(other, again);
              expect_hardware_agrees(changed, other, again, frame);
              EXPECT_EQ(changed.leaf_class(), leaf_class);
              EXPECT_EQ(changed.kind_without_zero(true), EntryKind::kFrame);
            }
          }
          const Entry inert = leaf.without_write();
          EXPECT_FALSE(inert.writable());
          EXPECT_EQ(inert.pfn(), frame);
          EXPECT_EQ(inert.leaf_class(), leaf_class);
          EXPECT_EQ(inert.kind_without_zero(true), EntryKind::kFrame)
              << "taking W away changes no kind";
          EXPECT_EQ(inert.present(), leaf.present());
        }
      }
    }
  }
}

// Rows: S2.1 S2.2
TEST(Entries, UpperEntriesLimitNothingButWriting) {
  for (const Pfn frame : kFrames) {
    for (const Writable writable : kWritables) {
      const Entry upper = Entry::table(frame, writable);
      const mmu::RawEntry raw(upper.encoded());
      EXPECT_EQ(upper.kind_without_zero(false), EntryKind::kTable);
      EXPECT_TRUE(raw.present());
      EXPECT_EQ(raw.frame(), frame);
      EXPECT_EQ(raw.narrow({}),
                (mmu::Rights{.write = writable == Writable::kYes, .user = true, .execute = true}));
      for (Level level(2); level <= Level(5); level = level.above()) {
        EXPECT_FALSE(raw.maps_memory(level));
        EXPECT_FALSE(raw.has_reserved_bits(level));
      }
    }
    for (const Prot prot : kProts) {
      const mmu::RawEntry zero(Entry::zero_table(frame, prot).encoded());
      EXPECT_FALSE(zero.narrow({}).write);
      EXPECT_EQ(zero.narrow({}).execute, prot.exec());
      EXPECT_TRUE(zero.accessed()) << "hardware must never want to write to a zero table";
    }
  }
}

// Rows: S0.41 S3.5
TEST(Entries, SpecialEntriesKeepKindAndPayload) {
  for (const EntryKind kind :
       {EntryKind::kSwap, EntryKind::kMigration, EntryKind::kPoison, EntryKind::kMarker}) {
    for (const std::uint64_t payload :
         {std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << 40) - 1}) {
      const Entry entry = Entry::special(kind, payload);
      EXPECT_EQ(entry.kind_without_zero(true), kind);
      EXPECT_EQ(entry.payload(), payload);
      EXPECT_FALSE(entry.is_absent());
      EXPECT_FALSE(entry.names_frame());
      EXPECT_FALSE(mmu::RawEntry(entry.encoded()).present());
      EXPECT_EQ(entry.without_write(), entry);
    }
  }
  EXPECT_TRUE(Entry().is_absent());
  EXPECT_EQ(Entry().kind_without_zero(true), EntryKind::kAbsent);
}

/// A tree small enough to be walked page by page.
class Shape : public ::testing::TestWithParam<std::pair<unsigned, unsigned>> {
 protected:
  Geometry geometry_ = Geometry::tiny(GetParam().first, GetParam().second);
};

// Rows: S2.27 S2.28 S2.29 S2.9 S2.53 S0.52
TEST_P(Shape, SpansAgreeWithCountingPages) {
  const std::uint64_t pages = geometry_.user_top().raw() / kPageSize;
  const std::uint64_t slots = geometry_.slots();
  EXPECT_EQ(geometry_.user_root_slots(), slots);
  std::uint64_t span = 1;  // pages under one entry
  for (Level level = kLeafLevel; level <= geometry_.root_level();
       level = level.above(), span *= slots) {
    EXPECT_EQ(geometry_.span(level), PageCount(span).bytes());
    EXPECT_EQ(geometry_.table_span(level), PageCount(span * slots).bytes());
    for (std::uint64_t page = 0; page < pages; ++page) {
      const VirtAddr address(page * kPageSize);
      ASSERT_EQ(geometry_.slot_of(address, level), page / span % slots);
      const VirtRange entry = geometry_.entry_range(address, level);
      ASSERT_EQ(entry.begin().raw(), page / span * span * kPageSize);
      ASSERT_EQ(entry.last().raw(), (page / span + 1) * span * kPageSize - 1);
      ASSERT_TRUE(geometry_.table_range(address, level).contains(entry));
      ASSERT_EQ(geometry_.is_aligned(address, level), page % span == 0);
      ASSERT_EQ(geometry_.slot_of(entry.last(), level), geometry_.slot_of(address, level))
          << "the last byte is inside";
    }
  }
  EXPECT_EQ(
      geometry_.table_range(geometry_.user_top() - ByteCount(1), geometry_.root_level()).end(),
      geometry_.user_top());
}
INSTANTIATE_TEST_SUITE_P(Small, Shape,
                         ::testing::Values(std::pair(2U, 2U), std::pair(2U, 5U), std::pair(3U, 3U),
                                           std::pair(4U, 2U), std::pair(4U, 3U),
                                           std::pair(5U, 2U)));

// Rows: S2.28 S0.53
TEST(WideShape, DoesNotWrapAtTheTop) {
  for (const Geometry& geometry :
       {Geometry::x86_64(), Geometry(5, 9, VirtAddr((std::uint64_t{1} << 56) - kPageSize))}) {
    const VirtAddr last = geometry.user_top() - ByteCount(1);
    for (Level level = kLeafLevel; level <= geometry.root_level(); level = level.above()) {
      const VirtRange entry = geometry.entry_range(last, level);
      EXPECT_LT(entry.begin(), entry.end());
      EXPECT_TRUE(entry.contains(last));
      EXPECT_LT(geometry.table_range(last, level).begin(), geometry.table_range(last, level).end());
    }
    EXPECT_EQ(geometry.user_root_slots(), 256U);
  }
}

// Rows: S2.27 S2.28
TEST(Ranges, AreHalfOpenAndNeverInverted) {
  const auto at = [](std::uint64_t n) { return VirtAddr(n); };
  for (std::uint64_t a = 0; a < 6; ++a) {
    for (std::uint64_t b = 0; b < 6; ++b) {
      const VirtRange left(at(a), at(b));
      EXPECT_EQ(left.size().raw(), b > a ? b - a : 0);
      EXPECT_EQ(left.empty(), b <= a);
      for (std::uint64_t c = 0; c < 6; ++c) {
        EXPECT_EQ(left.contains(at(c)), a <= c && c < b);
        for (std::uint64_t d = c + 1; d < 6; ++d) {
          const VirtRange right(at(c), at(d));
          bool common = false;
          for (std::uint64_t n = 0; n < 6; ++n)
            common = common || (left.contains(at(n)) && right.contains(at(n)));
          if (!left.empty()) {
            EXPECT_EQ(left.overlaps(right), common);
          }
          EXPECT_EQ(left.intersection(right).empty(), !common);
        }
      }
    }
  }
  EXPECT_FALSE(checked_add(at(~std::uint64_t{0}), ByteCount(1)));
  EXPECT_FALSE(checked_page_ceil(ByteCount(~std::uint64_t{0})));
  EXPECT_EQ(checked_page_ceil(ByteCount(1))->raw(), kPageSize);
  EXPECT_EQ(pages_of(ByteCount(~std::uint64_t{0})).raw(), std::uint64_t{1} << 52);
}

/// Linux merges two neighbours exactly when nothing tells them apart (S4.34).
// Rows: S4.34
TEST(Merging, IsDecidedByEveryPropertyOverAllPairs) {
  std::vector<Vma> kinds;
  for (const Prot prot : {kProtNone, kProtRead, kProtReadWrite}) {
    for (const VmaFlags flags :
         {VmaFlags(), VmaFlags(VmaFlag::kDontFork), VmaFlags(VmaFlag::kWipeOnFork),
          VmaFlags(VmaFlag::kGrowsDown), VmaFlags(VmaFlag::kNoReserve)}) {
      for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{2}}) {
        Vma vma;
        vma.prot = prot;
        vma.flags = flags;
        vma.offset = PageIndex(offset);
        kinds.push_back(vma);
      }
    }
  }
  for (const Vma& first : kinds) {
    for (const Vma& second : kinds) {
      Vma left = first;
      Vma right = second;
      left.range = VirtRange(VirtAddr(0), VirtAddr(2 * kPageSize));
      right.range = VirtRange(VirtAddr(2 * kPageSize), VirtAddr(3 * kPageSize));
      const bool same = left.prot == right.prot && left.flags == right.flags &&
                        left.offset.raw() + 2 == right.offset.raw();
      EXPECT_EQ(left.merges_with(right), same);
      right.range = VirtRange(VirtAddr(3 * kPageSize), VirtAddr(4 * kPageSize));
      EXPECT_FALSE(left.merges_with(right)) << "there is a gap";
    }
  }
}

}  // namespace
}  // namespace quire::test
