// remap_file_pages: pages of a shared mapping in another order (Linux emulates it by mappings, and so does this).
#include "support/fixture.h"

namespace quire::test {
namespace {

class RemapPages : public EveryMode {
 protected:
  Result<void> remap(const Space& where, std::uint64_t first, std::uint64_t pages, std::uint64_t offset) {
    return where->remap_file_pages(at(first), PageCount(pages).bytes(), 0, PageIndex(offset), 0);
  }
};
QUIRE_IN_EVERY_MODE(RemapPages);

// Rows: S2.33
TEST_P(RemapPages, ShowsOtherPagesOfTheObjectAndLeavesSharersAlone) {
  map("AAAA....", {.flags = uapi::kMapShared});
  fill(space(), 0, 4);
  Space child = fork();
  ASSERT_TRUE(remap(space(), 0, 2, 2));
  EXPECT_EQ(picture(space(), 4), "AABB");
  EXPECT_EQ(peek(space(), 0), 3U);
  EXPECT_EQ(peek(space(), 1), 4U);
  EXPECT_EQ(peek(child, 0), 1U);
  EXPECT_EQ(picture(child, 4), "AAAA");
  poke(space(), 1, 77);
  EXPECT_EQ(peek(space(), 3), 77U) << "the same page twice";
  EXPECT_EQ(peek(child, 3), 77U);
}

TEST_P(RemapPages, MergesAgainWhereTheOrderIsTheOldOne) {
  map("AAAA....", {.flags = uapi::kMapShared});
  fill(space(), 0, 4);
  ASSERT_TRUE(remap(space(), 1, 1, 3));
  EXPECT_EQ(picture(space(), 4), "ABCC");
  ASSERT_TRUE(remap(space(), 1, 1, 1)) << "over what was remapped";
  EXPECT_EQ(picture(space(), 4), "AAAA");
  EXPECT_EQ(peek(space(), 1), 2U);
}

TEST_P(RemapPages, IsForSharedMappingsWithoutHoles) {
  map("AA.B....");
  EXPECT_EQ(remap(space(), 0, 1, 0).error(), Errno::kInval);
  map("....CC.D", {.flags = uapi::kMapShared});
  EXPECT_EQ(remap(space(), 4, 4, 0).error(), Errno::kInval);
  EXPECT_EQ(remap(space(), 4, 0, 0).error(), Errno::kInval);
  EXPECT_EQ(space()->remap_file_pages(at(4), PageCount(1).bytes(), 1, PageIndex(0), 0).error(), Errno::kInval);
  EXPECT_EQ(remap(space(), 4, 2, ~std::uint64_t{0}).error(), Errno::kInval);
  EXPECT_EQ(picture(space(), 8), "AA.BCC.D");
}

TEST_P(RemapPages, ChangesNothingWhenMemoryRunsOut) {
  map("AAAA....", {.flags = uapi::kMapShared});
  fill(space(), 0, 4);
  Space child = fork();
  for (std::uint64_t n = 1;; ++n) {
    memory().pool().fail_after(n);
    const Result<void> result = remap(space(), 0, 2, 2);
    memory().pool().fail_after(0);
    if (result) break;
    EXPECT_EQ(picture(space(), 4), "AAAA");
    EXPECT_EQ(peek(space(), 0), 1U);
    ASSERT_LT(n, 100U);
  }
  EXPECT_EQ(peek(space(), 0), 3U);
}

}  // namespace
}  // namespace quire::test
