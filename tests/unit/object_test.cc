// Memory objects by themselves: when there is one, what it counts, what it asserts, where its pages are found.
#include "quire/rmap/rmap.h"
#include "quire/table/tree.h"
#include "support/fixture.h"
#include "support/panic.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class Object : public EveryMode {
 protected:
  [[nodiscard]] std::uint64_t anon_objects() { return memory().anon_objects().slab().in_use(); }
};
QUIRE_IN_EVERY_MODE(Object);

// Rows: S4.8
TEST_P(Object, IsMadeForTheFirstPrivatePage) {
  map_pages(space(), 0, 2 * kSpan);
  for (std::uint64_t n = 0; n < 2 * kSpan; n += 40) EXPECT_EQ(peek(space(), n), 0U);
  EXPECT_EQ(anon_objects(), 0U) << "zeros belong to nobody";
  const Space child = fork();
  EXPECT_EQ(anon_objects(), 0U);
  poke(child, 3, 1);
  EXPECT_EQ(anon_objects(), 1U);
  poke(child, kSpan + 3, 1);
  EXPECT_EQ(anon_objects(), 1U);
  poke(space(), 3, 1);
  EXPECT_EQ(anon_objects(), 2U);
}

// Rows: S4.13
TEST_P(Object, IsNotNeededByAForkThatFindsNone) {
  map_pages(space(), 0, 2 * kSpan);
  map_pages(space(), 4 * kSpan, 8, {.flags = uapi::kMapShared});
  EXPECT_EQ(peek(space(), 0), 0U);
  poke(space(), 4 * kSpan, 5);
  const Space child = fork();
  const Space grandchild = fork(child);
  EXPECT_EQ(peek(grandchild, 0), 0U);
  EXPECT_EQ(peek(grandchild, 4 * kSpan), 5U);
  EXPECT_EQ(anon_objects(), 0U);
}

// Rows: S4.2
TEST_P(Object, IsSearchedWithinItsMappingsAtWhateverDisplacement) {
  constexpr std::uint64_t kPages = 24, kMappings = 6;
  MmapRequest request;
  request.length = PageCount(kPages).bytes();
  request.prot = uapi::kProtRead | uapi::kProtWrite;
  request.flags = uapi::kMapShared | uapi::kMapAnonymous | uapi::kMapFixed;
  request.address = at(0);
  ASSERT_TRUE(space()->mmap(request));
  request.object = space()->find(at(0))->object;
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  // Parts of it that begin at ever higher pages: its first pages lie before those mappings, and before the tables' first slot.
  for (std::uint64_t m = 1; m < kMappings; ++m) {
    request.address = at(m * kSpan + (m % 2) * 3);
    request.offset = PageIndex(m * 4);
    request.length = PageCount(kPages - m * 4).bytes();
    ASSERT_TRUE(space()->mmap(request));
  }
  fill(space(), 0, kPages);
  for (std::uint64_t m = 1; m < kMappings; ++m) {
    for (std::uint64_t n = 0; n < kPages - m * 4; ++n) EXPECT_EQ(peek(space(), m * kSpan + (m % 2) * 3 + n), m * 4 + n + 1);
  }
  for (std::uint64_t index = 0; index < kPages; ++index) {
    Frame& page = memory().frame(path_to(*space(), at(index)).leaf);
    page.get();
    const RmapVisits met = for_each_entry(memory(), page, [](auto&&...) {});
    static_cast<void>(page.put());
    EXPECT_EQ(met.entries, 1 + index / 4) << "page " << index;
    EXPECT_EQ(met.entries, page.leaf_entries());
  }
}

// Rows: S4.27 S4.14
TEST_P(Object, KeepsNothingOfMappingsThatAreGone) {
  map_pages(space(), 0, 4, {.flags = uapi::kMapShared});
  fill(space(), 0, 4);
  const MemoryObject& object = *space()->find(at(0))->object;
  const std::uint32_t users = object.users(), attachments = object.attachment_count();
  const PageCount free = memory().pool().free_frames();
  MmapRequest request;
  request.address = at(8);
  request.length = PageCount(4).bytes();
  request.prot = uapi::kProtRead;
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  request.object = space()->find(at(0))->object;
  for (unsigned n = 0; n < 10'000; ++n) {
    ASSERT_TRUE(space()->mmap(request));
    if (n % 100 == 0) {
      EXPECT_EQ(peek(space(), 9), 2U);
    }
    ASSERT_TRUE(unmap(space(), 8, 4));
  }
  EXPECT_EQ(object.users(), users);
  EXPECT_EQ(object.attachment_count(), attachments);
  EXPECT_EQ(memory().pool().free_frames(), free);
}

/// Expectations that no test should ever break.
class Expectations : public MachineTest, protected PanicCatcher {};

// Rows: S4.33
TEST_F(Expectations, AreAsserted) {
  Frame* const table = memory().pool().take_or_null(FrameUse::kKernel);
  ASSERT_NE(table, nullptr);
  table->kind = FrameKind::kTable;
  table->table = Frame::Table{};
  EXPECT_NE(panic_of([&] { static_cast<void>(add_share(*table)); }), "") << "a share raised from zero";
  table->table.share.store_relaxed(0);
  EXPECT_NE(panic_of([&] { static_cast<void>(drop_share(*table)); }), "") << "a share lowered below zero";
  table->kind = FrameKind::kHeld;
  memory().pool().give(table);
  EXPECT_NE(panic_of([&] { memory().pool().give(table); }), "") << "a frame freed twice";
  EXPECT_NE(panic_of([&] {
              AttachmentReservation none(memory());
              static_cast<void>(none.take());
            }),
            "")
      << "an attachment that was not reserved";
}

// Rows: S4.18
TEST_F(Expectations, ThatNobodyWritesToASmallObjectThatIsGoneAreAsserted) {
  SlabPool& objects = memory().anon_objects().slab();
  void* const stays = objects.take_or_null();  // the frame
  void* const gone = objects.take_or_null();
  ASSERT_TRUE(stays != nullptr && gone != nullptr);
  objects.give(gone);
  std::byte& written = static_cast<std::byte*>(gone)[24];
  const std::byte before = written;
  written = std::byte{1};
  EXPECT_NE(panic_of([&] { static_cast<void>(objects.take_or_null()); }), "");
  written = before;
  EXPECT_EQ(objects.take_or_null(), gone);
  objects.give(gone);
  objects.give(stays);
}

// Rows: S4.20
TEST(StartUp, ThatFindsTooLittleMemorySaysSo) {
  for (std::uint64_t pages = 0; pages < 4; ++pages) {
    const auto machine = Machine::create({.memory = PageCount(pages).bytes()});
    ASSERT_FALSE(machine.has_value());
    EXPECT_EQ(machine.error(), pages < 2 ? Errno::kInval : Errno::kNoMem);
  }
}

}  // namespace
}  // namespace quire::test
