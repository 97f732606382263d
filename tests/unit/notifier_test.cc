// Secondary MMUs never serve what the space no longer grants.
#include "quire/tlb/notifier.h"

#include <random>

#include "quire/rmap/compact.h"
#include "quire/rmap/migrate.h"
#include "quire/rmap/poison.h"
#include "quire/rmap/rmap.h"
#include "support/fixture.h"
#include "support/iommu.h"

namespace quire::test {
namespace {

class Notifier : public EveryMode {
 protected:
  void TearDown() override {
    iommu_.reset();
    EveryMode::TearDown();
  }
  Iommu& iommu() {
    if (iommu_ == nullptr) {
      iommu_ = std::make_unique<Iommu>();
      EXPECT_TRUE(iommu_->attach(*space()));
    }
    return *iommu_;
  }
  [[nodiscard]] std::uint64_t read(std::uint64_t page) {
    std::uint64_t value = ~std::uint64_t{0};
    EXPECT_TRUE(iommu().read(at(page), value));
    return value;
  }
  void expect_honest() {
    EXPECT_EQ(iommu().check(), "");
    EXPECT_EQ(iommu().unbracketed(), 0U);
  }
  std::unique_ptr<Iommu> iommu_;
};
QUIRE_IN_EVERY_MODE(Notifier);

// Rows: S1.9 S0.56
TEST_P(Notifier, ForgetsWhatIsUnmappedProtectedAndDropped) {
  map("AAAA");
  fill(space(), 0, 4);
  for (std::uint64_t page = 0; page < 4; ++page) {
    EXPECT_EQ(read(page), page + 1);
    EXPECT_TRUE(iommu().write(at(page), page + 10));
    EXPECT_EQ(peek(space(), page), page + 10);
  }
  ASSERT_TRUE(unmap(space(), 0, 1));
  ASSERT_TRUE(protect(space(), 1, 1, uapi::kProtRead));
  ASSERT_TRUE(advise(space(), 2, 1, uapi::kMadvDontNeed));
  expect_honest();
  std::uint64_t value = 0;
  EXPECT_FALSE(iommu().read(at(0), value));
  EXPECT_FALSE(iommu().write(at(1), 5));
  EXPECT_EQ(read(1), 11U);
  EXPECT_EQ(read(2), 0U);
  EXPECT_EQ(read(3), 13U);
  expect_honest();
}

// Rows: S1.9
TEST_P(Notifier, LosesTheRightToWriteWhenTheSpaceForks) {
  map("AA");
  fill(space(), 0, 2);
  EXPECT_TRUE(iommu().write(at(0), 7));
  const Space child = fork();
  expect_honest();
  EXPECT_TRUE(iommu().write(at(0), 8));
  expect_honest();
  EXPECT_EQ(peek(child, 0), 7U);
  EXPECT_EQ(peek(space(), 0), 8U);
  poke(space(), 1, 9);  // the space's copy is another frame than the one the device may have read
  EXPECT_EQ(read(1), 9U);
  expect_honest();
}

// Rows: S1.9 S1.6
TEST_P(Notifier, IsToldOfEditsMadeForAllSharersOfATable) {
  map("AAS");
  map("..S", {.flags = uapi::kMapShared});
  fill(space(), 0, 3);
  const Space child = fork();
  for (std::uint64_t page = 0; page < 3; ++page) EXPECT_EQ(read(page), page + 1);
  const auto frame_of = [&](std::uint64_t page) { return path_to(*child, at(page)).leaf; };
  ASSERT_TRUE(migrate_frame(memory(), frame_of(0)));
  expect_honest();
  EXPECT_EQ(read(0), 1U);
  EXPECT_TRUE(iommu().write(at(2), 6));
  Frame& shared = memory().frame(frame_of(2));
  shared.get();
  EXPECT_TRUE(collect_dirty(memory(), shared));
  static_cast<void>(shared.put());
  EXPECT_EQ(iommu().check(), "");
  ASSERT_TRUE(poison_frame(memory(), frame_of(1)));
  expect_honest();
  std::uint64_t value = 0;
  EXPECT_FALSE(iommu().read(at(1), value));
}

/// Looks at a page when a bracket opens and when it is told to forget.
class Witness final : public MmuNotifier {
 public:
  Witness(AddressSpace& space, VirtAddr page) : space_(space), page_(page) {}
  void begin() override { at_begin_ = writable(); }
  void invalidate(VirtRange range) override {
    if (range.contains(page_)) seen_ = at_begin_ && !writable();
  }
  void invalidate_frames(Pfn, PageCount) override { seen_ = at_begin_ && !writable(); }
  void end() override {}
  void released() override {}
  /// Whether the last change was bracketed: not yet made when the bracket opened, made when it was
  /// told.
  [[nodiscard]] bool saw_it_coming() {
    const bool seen = seen_;
    seen_ = false;
    return seen;
  }

 private:
  [[nodiscard]] bool writable() {
    const Path path = path_to(space_, page_);
    return path.has_leaf && path.leaf_writable && path.path_writable;
  }
  AddressSpace& space_;
  VirtAddr page_;
  bool at_begin_ = false, seen_ = false;
};

// Rows: S0.56
TEST_P(Notifier, OpensTheBracketBeforeTheFirstEntryChanges) {
  map("AAAA");
  Witness witness(*space(), at(1));
  ASSERT_TRUE(space()->add_notifier(witness));
  const auto expect_seen = [&](const char* what) {
    EXPECT_TRUE(witness.saw_it_coming()) << what;
    ASSERT_TRUE(protect(space(), 1, 1, uapi::kProtRead | uapi::kProtWrite));
    fill(space(), 0, 4);
    static_cast<void>(witness.saw_it_coming());
  };
  fill(space(), 0, 4);
  ASSERT_TRUE(protect(space(), 1, 1, uapi::kProtRead));
  expect_seen("mprotect");
  ASSERT_TRUE(advise(space(), 1, 1, uapi::kMadvDontNeed));
  expect_seen("madvise");
  Space child = fork();
  expect_seen("fork");
  child.reset();
  fill(space(), 0, 4);
  static_cast<void>(migrate_frame(memory(), path_to(*space(), at(1)).leaf));
  map_pages(space(), 1, 1);
  expect_seen("mmap");
  MremapRequest request;
  request.old_address = at(1);
  request.old_length = request.new_length = PageCount(1).bytes();
  request.flags = uapi::kMremapMayMove | uapi::kMremapFixed;
  request.new_address = at(50);
  ASSERT_TRUE(space()->mremap(request).has_value());
  EXPECT_TRUE(witness.saw_it_coming()) << "mremap";
  map_pages(space(), 1, 1);
  fill(space(), 0, 4);
  ASSERT_TRUE(poison_frame(memory(), path_to(*space(), at(1)).leaf));
  EXPECT_TRUE(witness.saw_it_coming()) << "poison";
  ASSERT_TRUE(unmap(space(), 1, 1));
  map_pages(space(), 1, 1);
  fill(space(), 0, 4);
  ASSERT_TRUE(unmap(space(), 0, 4));
  EXPECT_TRUE(witness.saw_it_coming()) << "munmap";
  space()->remove_notifier(witness);
}

// Rows: S0.55
TEST_P(Notifier, IsReleasedWithItsSpace) {
  map("A");
  fill(space(), 0, 1);
  EXPECT_EQ(read(0), 1U);
  cpu().stop();
  space().reset();
  EXPECT_TRUE(iommu_->was_released());
  EXPECT_EQ(iommu_->cached(), 0U);
}

// Rows: S1.9
TEST_P(Notifier, HearsNothingAfterItWasRemovedAndNothingOfOtherSpaces) {
  map("AA");
  fill(space(), 0, 2);
  EXPECT_EQ(read(0), 1U);
  Space other = new_space();
  map(other, "BB");
  fill(other, 0, 2);
  const std::uint64_t before = iommu().brackets();
  ASSERT_TRUE(unmap(other, 0, 2));
  EXPECT_EQ(iommu().brackets(), before);
  iommu().detach();
  ASSERT_TRUE(unmap(space(), 0, 1));
  EXPECT_EQ(iommu_->brackets(), before);
  Iommu second;
  ASSERT_TRUE(second.attach(*other));
  second.detach();
  EXPECT_FALSE(memory().notifiers().any());
}

// Rows: S1.9 S0.56
TEST_P(Notifier, NeverServesWhatTheSpaceDoesNotGrantWhateverHappens) {
  constexpr unsigned kPages = 20, kRounds = 4000;
  map_pages(space(), 0, kPages);
  std::vector<Space> children;
  std::minstd_rand random(11);
  std::vector<std::uint64_t> expected(kPages, 0);
  std::vector<bool> writable(kPages, true);
  for (unsigned round = 1; round <= kRounds; ++round) {
    const std::uint64_t page = random() % kPages;
    switch (random() % 12) {
      case 0:
        children.push_back(fork());
        if (children.size() > 3) {
          cpu().run(space());
          children.erase(children.begin());
        }
        break;
      case 1:
        ASSERT_TRUE(advise(space(), page, 1, uapi::kMadvDontNeed));
        expected[page] = 0;
        break;
      case 2:
        ASSERT_TRUE(protect(space(), page, 1, writable[page] ? uapi::kProtRead : uapi::kProtRead | uapi::kProtWrite));
        writable[page] = !writable[page];
        break;
      case 3:
        map_pages(space(), page, 1);
        expected[page] = 0;
        writable[page] = true;
        break;
      case 4: {
        const Path path = path_to(*space(), at(page));
        if (path.has_leaf && !path.zero_leaf) static_cast<void>(migrate_frame(memory(), path.leaf));
        break;
      }
      case 5:
        if (round % 20 == 0) compact(memory());
        break;
      case 6:
      case 7:
        if (writable[page]) {
          poke(space(), page, round);
          expected[page] = round;
        }
        break;
      case 8:
      case 9:
        EXPECT_EQ(iommu().write(at(page), round), writable[page]);
        if (writable[page]) expected[page] = round;
        break;
      default:
        EXPECT_EQ(read(page), expected[page]);
    }
    EXPECT_EQ(peek(space(), page), expected[page]);
    expect_honest();
    if (HasFailure()) FAIL() << "round " << round;
  }
  cpu().run(space());
}

}  // namespace
}  // namespace quire::test
