// Names of anonymous memory: what they may be, and which neighbours stay apart for them (Linux v6.12
// mm/madvise.c:madvise_set_anon_name(); the merging rules are also the model's).
#include <sys/mman.h>

#include "support/file.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

class Name : public EveryMode {
 protected:
  Result<void> set_name(const Space& where, std::uint64_t first, std::uint64_t pages,
                        std::optional<std::string_view> text) {
    return where->set_name(at(first), PageCount(pages).bytes(), text);
  }
  [[nodiscard]] std::string name_at(const Space& where, std::uint64_t n) {
    const VmaMap map = where->map();
    const Vma* const vma = map.find(at(n));
    if (vma == nullptr || vma->label == nullptr) return "-";
    return std::string(vma->label->name().value_or("not a name"));
  }
};
QUIRE_IN_EVERY_MODE(Name);

TEST_P(Name, SplitsAndMergesByWhatItReads) {
  map("AAAAAA..");
  ASSERT_TRUE(set_name(space(), 1, 2, "heap of mine"));
  EXPECT_EQ(picture(space(), 8), "ABBCCC..");
  EXPECT_EQ(name_at(space(), 1), "heap of mine");
  ASSERT_TRUE(set_name(space(), 3, 2, "heap of mine"));
  EXPECT_EQ(picture(space(), 8), "ABBBBC..") << "names of two calls that read the same";
  ASSERT_TRUE(set_name(space(), 3, 2, "other"));
  EXPECT_EQ(picture(space(), 8), "ABBCCD..");
  ASSERT_TRUE(set_name(space(), 0, 6, std::nullopt));
  EXPECT_EQ(picture(space(), 8), "AAAAAA..");
  EXPECT_EQ(memory().anon_names().slab().in_use(), 0U);
}

TEST_P(Name, KeepsNewMemoryApart) {
  map("AA......");
  ASSERT_TRUE(set_name(space(), 0, 2, ""));
  map("..BB....");
  EXPECT_EQ(picture(space(), 8), "AABB....") << "an empty name is a name";
}

TEST_P(Name, GoesWithAForkAndLivesOnThere) {
  map("AAAA....");
  ASSERT_TRUE(set_name(space(), 0, 4, "family"));
  poke(space(), 1, 5);
  Space child = fork();
  ASSERT_TRUE(set_name(space(), 0, 4, std::nullopt));
  EXPECT_EQ(name_at(space(), 1), "-");
  EXPECT_EQ(name_at(child, 1), "family");
  ASSERT_TRUE(set_name(child, 1, 1, "own"));
  EXPECT_EQ(picture(child, 8), "ABCC....");
  EXPECT_EQ(peek(child, 1), 5U);
}

TEST_P(Name, IsForSharedAnonymousMemoryButNotForFiles) {
  map("AA......", {.flags = uapi::kMapShared});
  EXPECT_TRUE(set_name(space(), 0, 2, "shared"));
  TestLabel file;
  MmapRequest request;
  request.address = at(3);
  request.length = PageCount(1).bytes();
  request.flags = uapi::kMapPrivate | uapi::kMapAnonymous | uapi::kMapFixed;
  request.label = &file;
  ASSERT_TRUE(space()->mmap(request));
  map("..B.C...");
  EXPECT_EQ(set_name(space(), 2, 3, "mine").error(), Errno::kBadF);
  EXPECT_EQ(name_at(space(), 2), "mine") << "what comes before is done";
  EXPECT_EQ(name_at(space(), 4), "-");
  ASSERT_TRUE(unmap(space(), 3, 1));
}

TEST_P(Name, PassesOverHolesAndReportsThem) {
  map("A.A.....");
  EXPECT_EQ(set_name(space(), 0, 3, "far").error(), Errno::kNoMem);
  EXPECT_EQ(name_at(space(), 2), "far");
}

TEST_P(Name, HasOnlyCharactersThatCanBePrinted) {
  map("A.......");
  for (const char* bad : {"[", "]", "$", "`", "\\", "a\nb", "\x7f", "\x1f", "\xc3\xa4"})
    EXPECT_EQ(set_name(space(), 0, 1, bad).error(), Errno::kInval) << bad;
  EXPECT_EQ(set_name(space(), 0, 1, std::string(80, 'x')).error(), Errno::kInval);
  EXPECT_TRUE(set_name(space(), 0, 1, std::string(79, 'x')));
  EXPECT_EQ(name_at(space(), 0), std::string(79, 'x'));
  EXPECT_EQ(space()->set_name(at(0) + ByteCount(1), ByteCount(8), "a").error(), Errno::kInval);
  EXPECT_TRUE(space()->set_name(at(0), ByteCount(0), "a"));
  EXPECT_EQ(name_at(space(), 0), std::string(79, 'x')) << "nothing was named";
}

TEST_P(Name, ChangesNothingWhenMemoryRunsOut) {
  map("AAAA....");
  ASSERT_TRUE(set_name(space(), 0, 2, "one"));
  for (std::uint64_t n = 1;; ++n) {
    memory().pool().fail_after(n);
    const Result<void> result = set_name(space(), 1, 2, "two");
    memory().pool().fail_after(0);
    if (result) break;
    EXPECT_TRUE(result.error() == Errno::kNoMem || result.error() == Errno::kAgain);
    EXPECT_EQ(picture(space(), 8), "AABB....");
    ASSERT_LT(n, 100U);
  }
  EXPECT_EQ(picture(space(), 8), "ABBC....");
}

}  // namespace
}  // namespace quire::test
