// The library's surface: machines, handles, snapshots, and misuse that is answered rather than
// aborted.
#include <vector>

#include "support/fixture.h"

namespace quire::test {
namespace {

class Library : public MachineTest {};

// Rows: S0.66
TEST_F(Library, AnswersMisuseWithErrors) {
  EXPECT_EQ(Machine::create({.memory = ByteCount(0)}).error(), Errno::kInval);
  EXPECT_EQ(Machine::create({.memory = ByteCount(2 * kPageSize)}).error(), Errno::kNoMem);
  EXPECT_EQ(Machine::create({.geometry = Geometry::tiny(1, 9)}).error(), Errno::kInval);
  EXPECT_EQ(Space().fork().error(), Errno::kInval);
  EXPECT_EQ(Snapshot::take(Space()).error(), Errno::kInval);
  std::vector<std::unique_ptr<Cpu>> cpus;
  for (int n = 0; n < 64; ++n) cpus.push_back(std::move(*machine().create_cpu()));
  EXPECT_EQ(machine().create_cpu().error(), Errno::kAgain);
  EXPECT_FALSE(cpus[0]->load<std::uint64_t>(at(0))) << "a CPU that runs nothing faults";
  cpus[0]->idle();
  cpus[0]->stop();
  cpus[0]->run(Space());
}

// Rows: S0.66
TEST_F(Library, RunsSeveralMachinesInOneProcess) {
  const auto other = std::move(*Machine::create({.memory = ByteCount(std::uint64_t{16} << 20)}));
  const auto other_cpu = std::move(*other->create_cpu());
  const Space other_space = std::move(*other->create_space());
  MmapRequest request;
  request.address = at(0);
  request.length = ByteCount(kPageSize);
  request.prot = 3;
  request.flags = uapi::kMapPrivate | uapi::kMapAnonymous | uapi::kMapFixed;
  ASSERT_TRUE(other_space->mmap(request));
  other_cpu->run(other_space);
  map("A");
  poke(space(), 0, 1);
  ASSERT_TRUE(other_cpu->store<std::uint64_t>(at(0), 2));
  EXPECT_EQ(peek(space(), 0), 1U);
  EXPECT_EQ(other_cpu->load<std::uint64_t>(at(0)).value_or(0), 2U);
}

// Rows: X13
TEST_F(Library, RollsBackToASnapshotAsOftenAsWanted) {
  map("AAAA");
  fill(space(), 0, 4);
  const Snapshot snapshot = std::move(*Snapshot::take(space()));
  for (int round = 0; round < 3; ++round) {
    poke(space(), 1, 99);
    ASSERT_TRUE(unmap(space(), 3, 1));
    map("....B");
    ASSERT_TRUE(snapshot.restore(space(), cpu()));
    EXPECT_EQ(picture(space(), 5), "AAAA.");
    for (std::uint64_t n = 0; n < 4; ++n) EXPECT_EQ(peek(space(), n), n + 1);
  }
}

// Rows: X13
TEST_F(Library, DoesNotRollBackSharedMemory) {
  map("S", {.flags = uapi::kMapShared});
  poke(space(), 0, 1);
  const Snapshot snapshot = std::move(*Snapshot::take(space()));
  poke(space(), 0, 2);
  ASSERT_TRUE(snapshot.restore(space(), cpu()));
  EXPECT_EQ(peek(space(), 0), 2U);
}

// Rows: X16
TEST_F(Library, EnumeratesThePagesThatChanged) {
  map_pages(space(), 0, 3000);
  fill(space(), 0, 2000);
  const Snapshot snapshot = std::move(*Snapshot::take(space()));
  for (const std::uint64_t n : {3U, 700U, 1999U, 2500U}) poke(space(), n, 7);
  (void)peek(space(), 100);
  (void)peek(space(), 2600);  // a zero page is no change
  ASSERT_TRUE(advise(space(), 10, 2, uapi::kMadvDontNeed));
  ASSERT_TRUE(protect(space(), 50, 2, 0));
  std::vector<std::uint64_t> changed;
  for_each_changed_page(snapshot, space(), [&](VirtAddr page) {
    changed.push_back((page - base()).raw() / kPageSize);
  });
  EXPECT_EQ(changed, (std::vector<std::uint64_t>{3, 10, 11, 700, 1999, 2500}));
}

// Rows: S0.66
TEST_F(Library, KeepsASpaceAliveForEveryHandle) {
  map("A");
  poke(space(), 0, 5);
  Space second = space().share();
  Space third = std::move(second);
  EXPECT_FALSE(static_cast<bool>(second));  // NOLINT: moved from is empty, by contract
  EXPECT_EQ(peek(third, 0), 5U);
  third = third.share();
  EXPECT_EQ(third.get(), space().get());
}

class Terabytes : public MachineTest {
 protected:
  Terabytes() {
    machine_config_.contents = Contents::kNone;
    machine_config_.memory = ByteCount(std::uint64_t{1} << 40);
    machine_config_.poison_freed = false;
  }
};

// Rows: S0.9 X1
TEST_F(Terabytes, MapsAndForksSparsely) {
  constexpr std::uint64_t kPages = std::uint64_t{1} << 30;  // 4 TiB
  map_pages(space(), 0, kPages);
  for (std::uint64_t n = 0; n < kPages; n += kPages / 1024) poke(space(), n, 1);
  const std::uint64_t tables = counter(Counter::kTableAlloc);
  const Space child = fork();
  EXPECT_EQ(counter(Counter::kTableAlloc) - tables, 1U);
  EXPECT_EQ(child->usage().rss_anon.raw(), 1024U);
  poke(child, kPages / 2, 1);
  EXPECT_LE(counter(Counter::kTableAlloc) - tables, 4U);
}

}  // namespace
}  // namespace quire::test
