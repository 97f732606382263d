// Huge pages against a flat model: random operations, and every word that a program could read is as it says.
#include <array>
#include <memory>
#include <random>
#include <vector>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;
/// Places for huge pages, and the words of each that are looked at.
constexpr std::size_t kPlaces = 12, kWords = 2;

struct Case {
  ForkMode mode;
  Geometry geometry;
  const char* name;
};

/// What a place shows.
struct Place {
  using Words = std::array<std::uint64_t, kWords>;
  bool is_mapped = false, may_write = true, is_shared = false;
  std::shared_ptr<Words> words;
};

struct Process {
  Space space;
  std::array<Place, kPlaces> places;
};

class HugeRandom : public MachineTest, public ::testing::WithParamInterface<Case> {
 protected:
  HugeRandom() {
    machine_config_.geometry = GetParam().geometry;
    machine_config_.memory = ByteCount(std::uint64_t{256} << 20);
    space_config_.fork_mode = GetParam().mode;
  }
  void TearDown() override {
    processes_.clear();
    memory().huge().close();
    cpu().run(space());
    MachineTest::TearDown();
  }
  [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_() % n; }
  [[nodiscard]] std::uint64_t huge() { return machine_config_.geometry.span(Level(2)).raw() / kPageSize; }
  [[nodiscard]] VirtAddr address_of(std::size_t place) { return at(place * huge()); }
  [[nodiscard]] ByteCount bytes(std::size_t pages) { return PageCount(pages * huge()).bytes(); }
  [[nodiscard]] VirtAddr word_at(std::size_t place, std::size_t word) {
    return address_of(place) + PageCount(word == 0 ? 0 : huge() - 1).bytes();
  }

  void map(Process& process, std::size_t first, std::size_t count) {
    const bool is_shared = below(3) == 0;
    MmapRequest request;
    request.address = address_of(first);
    request.length = bytes(count);
    request.prot = kReadWrite;
    request.flags = (is_shared ? uapi::kMapShared : uapi::kMapPrivate) | uapi::kMapAnonymous | uapi::kMapFixed | uapi::kMapHugeTlb;
    if (below(2) == 0) request.flags |= uapi::kMapNoReserve;
    ASSERT_TRUE(process.space->mmap(request));
    for (std::size_t n = first; n < first + count; ++n) process.places[n] = {true, true, is_shared, std::make_shared<Place::Words>()};
  }
  void unmap(Process& process, std::size_t first, std::size_t count) {
    ASSERT_TRUE(process.space->munmap(address_of(first), bytes(count)));
    for (std::size_t n = first; n < first + count; ++n) process.places[n] = {};
  }
  void protect(Process& process, std::size_t first, bool may_write) {
    if (!process.places[first].is_mapped) return;
    ASSERT_TRUE(process.space->mprotect(address_of(first), bytes(1), may_write ? kReadWrite : uapi::kProtRead));
    process.places[first].may_write = may_write;
  }
  void move(Process& process, std::size_t from, std::size_t to) {
    if (from == to || !process.places[from].is_mapped) return;
    ASSERT_TRUE(process.space->mremap({.old_address = address_of(from),
                                       .old_length = bytes(1),
                                       .new_length = bytes(1),
                                       .flags = uapi::kMremapMayMove | uapi::kMremapFixed,
                                       .new_address = address_of(to)}));
    process.places[to] = std::move(process.places[from]);
    process.places[from] = {};
  }
  void give_up(Process& process, std::size_t first) {
    Place& place = process.places[first];
    if (!place.is_mapped) return;
    const bool removes = place.is_shared && below(2) == 0;
    ASSERT_TRUE(process.space->madvise(address_of(first), bytes(1), removes ? uapi::kMadvRemove : uapi::kMadvDontNeed));
    if (removes || !place.is_shared) place.words->fill(0);
  }
  void write(Process& process, std::size_t first) {
    Place& place = process.places[first];
    const std::size_t word = below(kWords);
    cpu().run(process.space);
    const bool done = cpu().store(word_at(first, word), ++last_value_).has_value();
    ASSERT_EQ(done, place.is_mapped && place.may_write);
    if (done) (*place.words)[word] = last_value_;
  }
  void fork(Process& process) {
    if (processes_.size() == 6) return;
    Process child;
    child.space = MachineTest::fork(process.space);
    child.places = process.places;
    for (Place& place : child.places) {
      if (place.is_mapped && !place.is_shared) place.words = std::make_shared<Place::Words>(*place.words);
    }
    processes_.push_back(std::move(child));
  }
  void exit(std::size_t n) {
    if (processes_.size() == 1) return;
    cpu().run(space());
    processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(n));
  }
  void step() {
    const std::size_t n = below(processes_.size()), first = below(kPlaces), count = 1 + below(std::min<std::size_t>(3, kPlaces - first));
    Process& process = processes_[n];
    switch (below(12)) {
      case 0: return map(process, first, count);
      case 1: return unmap(process, first, count);
      case 2: return protect(process, first, below(2) == 0);
      case 3: return move(process, first, below(kPlaces));
      case 4: return give_up(process, first);
      case 5: return fork(process);
      case 6: return below(2) == 0 ? exit(n) : fork(process);
      default: return write(process, first);
    }
  }
  void compare() {
    for (Process& process : processes_) {
      cpu().run(process.space);
      for (std::size_t n = 0; n < kPlaces; ++n) {
        const Place& place = process.places[n];
        for (std::size_t word = 0; word < kWords; ++word) {
          const auto seen = cpu().load<std::uint64_t>(word_at(n, word));
          ASSERT_EQ(seen.has_value(), place.is_mapped) << "place " << n;
          ASSERT_EQ(seen.value_or(0), place.is_mapped ? (*place.words)[word] : 0) << "place " << n << ", word " << word;
        }
      }
    }
  }

  std::mt19937_64 random_;
  std::uint64_t last_value_ = 0;
  std::vector<Process> processes_;
};

// Rows: S2.51 X18 S2.11
TEST_P(HugeRandom, ShowsWhatAFlatMemoryWould) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    random_.seed(seed);
    memory().huge().of(Level(2)).set_overcommit(1000);
    processes_.clear();
    processes_.emplace_back();
    processes_.back().space = new_space();
    for (unsigned n = 0; n < 300; ++n) {
      step();
      if (below(8) == 0) compare();
      if (n % 32 == 0) expect_clean_audit();
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    cpu().run(space());
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, HugeRandom,
                         ::testing::Values(Case{ForkMode::kTree, Geometry::tiny(3, 3), "tree_three"},
                                           Case{ForkMode::kLeaf, Geometry::tiny(4, 2), "leaf_narrow"},
                                           Case{ForkMode::kTree, Geometry::tiny(4, 2), "tree_narrow"},
                                           Case{ForkMode::kCopy, Geometry::tiny(3, 3), "copy_three"},
                                           Case{ForkMode::kTree, Geometry::x86_64(), "tree_x86"}),
                         [](const ::testing::TestParamInfo<Case>& parameter) { return std::string(parameter.param.name); });

}  // namespace
}  // namespace quire::test
