// Physical memory that is mapped as it is: what a mapping of it shows and forbids, and that nothing counts it.
#include "quire/object/device_object.h"

#include "quire/space/hold.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kRead = uapi::kProtRead, kWrite = uapi::kProtWrite, kExecute = uapi::kProtExec;

class Device : public EveryMode {
 protected:
  static constexpr std::uint64_t kValue = 4711;

  void SetUp() override {
    page_ = memory().pool().take_or_null(FrameUse::kUser);
    ASSERT_NE(page_, nullptr);
    set(kValue);
    const auto made = DeviceObject::create(memory(), memory().pfn_of(*page_), PageCount(1));
    ASSERT_TRUE(made.has_value());
    object_ = *made;
  }
  void TearDown() override {
    object_->drop_user();
    memory().pool().give(page_);
    EveryMode::TearDown();
  }
  void set(std::uint64_t value) { __builtin_memcpy(memory().contents(*page_), &value, sizeof value); }

  Result<VirtAddr> map_device(std::uint64_t column, std::uint32_t prot = kRead, std::uint64_t pages = 1) {
    MmapRequest request;
    request.address = at(column);
    request.length = PageCount(pages).bytes();
    request.prot = prot;
    request.flags = uapi::kMapPrivate | uapi::kMapFixed;
    request.object = object_;
    return space()->mmap(request);
  }
  Result<VirtAddr> remap(std::uint64_t from, std::uint64_t to, std::uint64_t pages, std::uint32_t flags) {
    return space()->mremap({at(from), PageCount(1).bytes(), PageCount(pages).bytes(), uapi::kMremapMayMove | flags, at(to)});
  }

  Frame* page_ = nullptr;
  DeviceObject* object_ = nullptr;
};
QUIRE_IN_EVERY_MODE(Device);

// Rows: S0.41 S3.9
TEST_P(Device, IsSeenAsItIsAndCountedByNobody) {
  ASSERT_TRUE(map_device(0));
  EXPECT_EQ(peek(space(), 0), kValue);
  set(kValue + 1);
  EXPECT_EQ(peek(space(), 0), kValue + 1) << "its memory, not a copy";
  const Usage usage = space()->usage();
  EXPECT_EQ(usage.rss().raw(), 0U);
  EXPECT_EQ(usage.mapped.raw(), 1U);
  EXPECT_EQ(page_->leaf_entries(), 0U);
  EXPECT_EQ(path_to(*space(), at(0)).leaf, memory().pfn_of(*page_));
  map(".A");
  EXPECT_EQ(peek(space(), 1), 0U) << "zeros beside it, in one table";
  const Space child = fork();
  poke(child, 1, 9);
  EXPECT_EQ(peek(child, 0), kValue + 1);
  EXPECT_EQ(peek(space(), 1), 0U);
}

TEST_P(Device, IsTheSameForChildrenAndStaysWithThem) {
  ASSERT_TRUE(map_device(0));
  map("..A");
  fill(space(), 2, 1);
  EXPECT_EQ(peek(space(), 0), kValue);
  const Space child = fork();
  poke(child, 2, 9);  // the path is its own now
  ASSERT_TRUE(unmap(space(), 0, 1));
  set(kValue + 2);
  EXPECT_EQ(peek(child, 0), kValue + 2);
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kMapError);
}

TEST_P(Device, GivesNoRightButToRead) {
  EXPECT_EQ(map_device(0, kRead | kWrite).error(), Errno::kAcces);
  EXPECT_EQ(map_device(0, kRead | kExecute).error(), Errno::kAcces);
  EXPECT_EQ(map_device(0, kRead, 2).error(), Errno::kInval) << "more than there is";
  ASSERT_TRUE(map_device(0));
  EXPECT_EQ(protect(space(), 0, 1, kRead | kWrite).error(), Errno::kAcces);
  EXPECT_EQ(protect(space(), 0, 1, kRead | kExecute).error(), Errno::kAcces);
  EXPECT_EQ(outcome(space(), 0, Access::kWrite), FaultOutcome::kAccessError);
  EXPECT_EQ(outcome(space(), 0, Access::kExecute), FaultOutcome::kAccessError);
  EXPECT_EQ(peek(space(), 0), kValue);
  ASSERT_TRUE(protect(space(), 0, 1, 0));
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kAccessError);
  ASSERT_TRUE(protect(space(), 0, 1, kRead));
  EXPECT_EQ(peek(space(), 0), kValue);
}

// Rows: S3.24
TEST_P(Device, CanBeHeldAndWrittenByNobodyElse) {
  ASSERT_TRUE(map_device(0));
  EXPECT_EQ(peek(space(), 0), kValue);
  EXPECT_EQ(space()->hold(at(0), Access::kRead, HoldKind::kGet).error(), Errno::kFault);
  EXPECT_EQ(space()->hold(at(0), Access::kRead, HoldKind::kPin).error(), Errno::kFault);
  std::byte word[8] = {};
  EXPECT_EQ(space()->read(at(0), word).error(), Errno::kFault);
  EXPECT_EQ(space()->peek(at(0), word).error(), Errno::kFault);
  EXPECT_EQ(space()->poke(at(0), word).error(), Errno::kFault);
  EXPECT_EQ(peek(space(), 0), kValue);
}

TEST_P(Device, MovesButDoesNotGrow) {
  ASSERT_TRUE(map_device(0));
  EXPECT_EQ(peek(space(), 0), kValue);
  EXPECT_EQ(remap(0, 0, 2, 0).error(), Errno::kFault);
  EXPECT_EQ(remap(0, 600, 1, uapi::kMremapDontUnmap).error(), Errno::kInval);
  ASSERT_TRUE(remap(0, 600, 1, uapi::kMremapFixed));
  EXPECT_EQ(peek(space(), 600), kValue);
  EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kMapError);
}

TEST_P(Device, IsNeitherLockedNorAdvisedAway) {
  ASSERT_TRUE(map_device(0));
  ASSERT_TRUE(space()->mlock(at(0), ByteCount(kPageSize), LockWhen::kNow));
  EXPECT_EQ(space()->usage().locked.raw(), 0U);
  ASSERT_TRUE(space()->mlockall(uapi::kMclCurrent | uapi::kMclFuture));
  ASSERT_TRUE(map_device(1));
  EXPECT_EQ(space()->usage().locked.raw(), 0U);
  for (const int advice : {uapi::kMadvDontNeed, uapi::kMadvDontNeedLocked, uapi::kMadvPageOut, uapi::kMadvDoFork, uapi::kMadvDoDump,
                           uapi::kMadvPopulateRead, uapi::kMadvFree, uapi::kMadvRemove, uapi::kMadvWipeOnFork})
    EXPECT_EQ(advise(space(), 0, 1, advice).error(), Errno::kInval) << advice;
  EXPECT_TRUE(advise(space(), 0, 1, uapi::kMadvDontFork));
  std::uint8_t resident[1] = {};
  ASSERT_TRUE(space()->mincore(at(0), resident));
  EXPECT_EQ(resident[0], 1);
}

TEST_P(Device, IsFoundInAnothersPlaceByTheAudit) {
  ASSERT_TRUE(map_device(0));
  EXPECT_EQ(peek(space(), 0), kValue);
  const Path path = path_to(*space(), at(0));
  auto* const entry =
      reinterpret_cast<std::uint64_t*>(memory().window(path.tables[path.depth - 1])) + memory().geometry().slot_of(at(0), kLeafLevel);
  EXPECT_EQ(audit_findings(machine()).find("I8:"), std::string::npos);
  *entry += kPageSize;
  EXPECT_NE(audit_findings(machine()).find("I8: raw leaf"), std::string::npos);
  *entry -= kPageSize;
}

TEST_P(Device, LivesUntilItsLastMapping) {
  ASSERT_TRUE(map_device(0));
  DeviceObject* const object = object_;
  object->add_user();
  object_->drop_user();
  EXPECT_EQ(object->users(), 2U) << "the mapping's and ours";
  EXPECT_FALSE(DeviceObject::create(memory(), Pfn(memory().config().frames.raw()), PageCount(1)).has_value());
  EXPECT_FALSE(DeviceObject::create(memory(), Pfn(0), PageCount(0)).has_value());
}

// The n-th allocation fails, for every n: nothing is mapped, or nothing is there yet, and the next attempt succeeds.
TEST_P(Device, IsMappedWhollyOrNotAtAll) {
  (void)space();
  for (std::uint64_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 50U);
    memory().pool().fail_after(nth);
    const auto mapped = map_device(0);
    const FaultOutcome met = mapped ? space()->fault(at(0), Access::kRead) : FaultOutcome::kOutOfMemory;
    const bool failed = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    EXPECT_EQ(met == FaultOutcome::kMinor, !failed);
    if (mapped) {
      EXPECT_EQ(peek(space(), 0), kValue);
      ASSERT_TRUE(unmap(space(), 0, 1));
    }
    EXPECT_EQ(outcome(space(), 0, Access::kRead), FaultOutcome::kMapError);
    if (!failed) break;
  }
}

}  // namespace
}  // namespace quire::test
