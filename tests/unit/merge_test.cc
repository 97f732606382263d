// Which neighbours become one mapping once pages were written: Linux's anon_vma rules
// (docs/decisions/0008-tags.md). The same facts are read from /proc/self/maps on both kernels by
// programs/conformance/mmap_merging.c.
#include <sys/mman.h>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kRead = uapi::kProtRead;
constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;

class Merge : public EveryMode {};
QUIRE_IN_EVERY_MODE(Merge);

// Rows: S4.34
TEST_P(Merge, LeavesApartWhatWasWrittenApart) {
  map("AA..BB..");
  poke(space(), 0, 1);
  poke(space(), 4, 1);
  map("..CC....");
  EXPECT_EQ(picture(space(), 8), "AAAABB..") << "the new one joins the lower";
  ASSERT_TRUE(advise(space(), 0, 6, MADV_DONTNEED));
  ASSERT_TRUE(protect(space(), 0, 6, kRead));
  EXPECT_EQ(picture(space(), 8), "AAAABB..") << "what is empty again was written all the same";
}

// Rows: S4.34
TEST_P(Merge, JoinsWhatOfWhichOnlyOneWasWritten) {
  map("AA..BB..");
  poke(space(), 4, 1);
  EXPECT_EQ(peek(space(), 0), 0U) << "reading is not writing";
  map("..CC....");
  EXPECT_EQ(picture(space(), 8), "AAAAAA..");
}

// Rows: S4.34
TEST_P(Merge, JoinsNeighboursThatWereWrittenSideBySide) {
  map("AAAA");
  ASSERT_TRUE(protect(space(), 2, 2, kReadWrite | uapi::kProtExec));
  poke(space(), 0, 1);
  poke(space(), 2, 1);
  ASSERT_TRUE(protect(space(), 2, 2, kReadWrite));
  EXPECT_EQ(picture(space(), 4), "AAAA");
}

// Rows: S4.34
TEST_P(Merge, KeepsApartInAChildWhatItInheritedAndWhatIsNew) {
  map("AAAA....BBBB....");
  poke(space(), 0, 1);
  Space child = fork();
  map(child, "....C.......D...");
  EXPECT_EQ(picture(child, 16), "AAAAB...CCCCC...");
  ASSERT_TRUE(protect(child, 1, 1, kRead));
  ASSERT_TRUE(protect(child, 1, 1, kReadWrite));
  EXPECT_EQ(picture(child, 16), "AAAAB...CCCCC...") << "parts of one mapping go together again";
  map("....C...........");
  EXPECT_EQ(picture(space(), 16), "AAAAA...BBBB....");
}

// Rows: S4.34
TEST_P(Merge, KeepsApartInAChildNeighboursOfDifferentRights) {
  map("AAAA");
  ASSERT_TRUE(protect(space(), 2, 2, kReadWrite | uapi::kProtExec));
  poke(space(), 0, 1);
  poke(space(), 2, 1);
  Space child = fork();
  ASSERT_TRUE(protect(child, 2, 2, kReadWrite));
  EXPECT_EQ(picture(child, 4), "AABB");
  Space grandchild = fork(child);
  ASSERT_TRUE(protect(grandchild, 0, 4, kRead));
  EXPECT_EQ(picture(grandchild, 4), "AABB");
  ASSERT_TRUE(protect(space(), 2, 2, kReadWrite));
  EXPECT_EQ(picture(space(), 4), "AAAA");
}

// Rows: S4.34
TEST_P(Merge, TreatsWipedMemoryAsNew) {
  map("AA..");
  poke(space(), 0, 1);
  ASSERT_TRUE(advise(space(), 0, 2, MADV_WIPEONFORK));
  Space child = fork();
  ASSERT_TRUE(advise(child, 0, 2, MADV_KEEPONFORK));
  map(child, "..BB");
  EXPECT_EQ(picture(child, 4), "AAAA");
  ASSERT_TRUE(advise(space(), 0, 2, MADV_KEEPONFORK));
}

// Rows: S4.34
TEST_P(Merge, RemembersThatWrittenMemoryIsAccounted) {
  map("AA......");
  ASSERT_TRUE(protect(space(), 0, 2, kRead));
  MapStyle style;
  style.prot = kRead;
  map(space(), "..BB....", style);
  EXPECT_EQ(picture(space(), 8), "AAAA....") << "never written: given back";
  map("....CC..");
  poke(space(), 4, 1);
  ASSERT_TRUE(protect(space(), 4, 2, kRead));
  EXPECT_EQ(picture(space(), 8), "AAAABB..");
}

class Place : public MachineTest {};

// Rows: S4.34
TEST_F(Place, GoesBelowTheWholeGuardGapOfAStack) {
  const auto put = [this](std::uint64_t pages, std::uint32_t flags) {
    MmapRequest request;
    request.length = PageCount(pages).bytes();
    request.prot = kReadWrite;
    request.flags = flags | uapi::kMapPrivate | uapi::kMapAnonymous;
    const auto made = space()->mmap(request);
    EXPECT_TRUE(made);
    return made ? *made : VirtAddr(0);
  };
  const VirtAddr stack = put(2, uapi::kMapGrowsDown);
  MmapRequest inside;
  inside.address = stack - PageCount(20).bytes();
  inside.length = PageCount(2).bytes();
  inside.prot = kRead;
  inside.flags = uapi::kMapPrivate | uapi::kMapAnonymous | uapi::kMapFixed;
  ASSERT_TRUE(space()->mmap(inside));
  EXPECT_EQ(stack - put(1, 0), PageCount(257).bytes())
      << "a free page below the mapping in the gap is passed over (unmapped_area_topdown())";
}

// Rows: S4.34
TEST_F(Place, LetsTheBreakDownOnlyOverSomething) {
  Layout layout;
  layout.brk_begin = base();
  space()->set_layout(layout);
  const VirtAddr up = base() + PageCount(8).bytes();
  ASSERT_EQ(space()->brk(up), up);
  ASSERT_TRUE(unmap(space(), 6, 2));
  EXPECT_EQ(space()->brk(base() + PageCount(7).bytes()), up);
  EXPECT_EQ(space()->brk(base() + PageCount(5).bytes()), base() + PageCount(5).bytes());
  EXPECT_EQ(space()->layout().brk_end, base() + PageCount(5).bytes());
  map(".....AAA");
  EXPECT_EQ(picture(space(), 8), "AAAAAAAA") << "the heap is a mapping like others";
}

}  // namespace
}  // namespace quire::test
