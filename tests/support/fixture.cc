#include "support/fixture.h"

#include <cstdlib>

namespace quire::test {

namespace {

// Rows: S2.4
/// The suite runs twice: what is not about huge pages needs none of them (CTest's unit_without_huge_pages).
bool are_huge_pages_off() { return std::getenv("QUIRE_WITHOUT_HUGE_PAGES") != nullptr; }

}  // namespace

void MachineTest::TearDown() {
  if (machine_ == nullptr) return;
  expect_clean_audit();
  cpu_.reset();
  more_cpus_.clear();
  space_.reset();
  EXPECT_EQ(machine_->frames_in_use().raw(), frames_at_start_)
      << "frames left over after all spaces are gone";
  EXPECT_EQ(leftovers(*machine_), "");
  expect_clean_audit();
}

void MachineTest::expect_clean_audit() {
  EXPECT_EQ(audit_findings(machine()), "");
  EXPECT_EQ(machine().violations().count(), 0U) << machine().violations().at(0).text.data();
}

Machine& MachineTest::machine() {
  if (machine_ == nullptr) {
    if (are_huge_pages_off()) machine_config_.largest_leaf = kLeafLevel;
    auto made = Machine::create(machine_config_);
    if (!made) {
      ADD_FAILURE() << "no machine: errno " << static_cast<int>(made.error());
      std::abort();
    }
    machine_ = std::move(*made);
    frames_at_start_ = machine_->frames_in_use().raw();
  }
  return *machine_;
}

Space MachineTest::new_space() {
  auto made = machine().create_space(space_config_);
  EXPECT_TRUE(made.has_value());
  return made ? std::move(*made) : Space();
}

Space& MachineTest::space() {
  if (!space_) space_ = new_space();
  return space_;
}

Space MachineTest::fork(const Space& parent) {
  auto made = parent.fork();
  EXPECT_TRUE(made.has_value());
  return made ? std::move(*made) : Space();
}

Cpu& MachineTest::cpu() {
  if (cpu_ == nullptr) {
    auto made = machine().create_cpu();
    EXPECT_TRUE(made.has_value());
    cpu_ = std::move(*made);
    cpu_->run(space());
  }
  return *cpu_;
}

Cpu& MachineTest::new_cpu(CachePolicy policy) {
  auto made = machine().create_cpu(policy);
  EXPECT_TRUE(made.has_value());
  more_cpus_.push_back(std::move(*made));
  return *more_cpus_.back();
}

VirtAddr MachineTest::base() {
  const Geometry& geometry = machine_config_.geometry;
  const Level level = geometry.root_level();
  // One entry of the root up; in a tree of one root entry, the beginning.
  return geometry.user_root_slots() > 2 ? VirtAddr(0) + geometry.span(level) : VirtAddr(0);
}

void MachineTest::map(Space& where, const std::string& picture, MapStyle style) {
  for (std::size_t n = 0; n < picture.size();) {
    std::size_t end = n + 1;
    while (end < picture.size() && picture[end] == picture[n]) ++end;
    if (picture[n] != '.') {
      map_pages(where, n, end - n, style);
    }
    n = end;
  }
}

bool MachineTest::map_pages(Space& where, std::uint64_t first, std::uint64_t pages,
                            MapStyle style) {
  MmapRequest request;
  request.address = at(first);
  request.length = PageCount(pages).bytes();
  request.prot = style.prot;
  request.flags = style.flags | uapi::kMapAnonymous | uapi::kMapFixed;
  const auto mapped = where->mmap(request);
  EXPECT_TRUE(mapped.has_value()) << "errno " << static_cast<int>(mapped.error());
  return mapped.has_value();
}

Result<void> MachineTest::unmap(Space& where, std::uint64_t first, std::uint64_t pages) {
  return where->munmap(at(first), PageCount(pages).bytes());
}
Result<void> MachineTest::protect(Space& where, std::uint64_t first, std::uint64_t pages,
                                  std::uint32_t prot) {
  return where->mprotect(at(first), PageCount(pages).bytes(), prot);
}
Result<void> MachineTest::advise(Space& where, std::uint64_t first, std::uint64_t pages,
                                 int advice) {
  return where->madvise(at(first), PageCount(pages).bytes(), advice);
}

void MachineTest::poke(const Space& where, std::uint64_t n, std::uint64_t value) {
  cpu().run(where);
  const auto done = cpu().store(at(n), value);
  EXPECT_TRUE(done.has_value()) << "store to page " << n << " faults";
}

std::uint64_t MachineTest::peek(const Space& where, std::uint64_t n) {
  cpu().run(where);
  const auto value = cpu().load<std::uint64_t>(at(n));
  EXPECT_TRUE(value.has_value()) << "load from page " << n << " faults";
  return value.value_or(~std::uint64_t{0});
}

FaultOutcome MachineTest::outcome(const Space& where, std::uint64_t n, Access access) {
  cpu().run(where);
  std::byte byte{};
  Accessed<void> done;
  switch (access) {
    case Access::kRead:
      done = cpu().read(at(n), std::span(&byte, 1));
      break;
    case Access::kWrite:
      done = cpu().write(at(n), std::span(&byte, 1));
      break;
    case Access::kExecute:
      done = cpu().fetch(at(n), std::span(&byte, 1));
      break;
  }
  return done ? FaultOutcome::kMinor : done.error().outcome;
}

void MachineTest::fill(const Space& where, std::uint64_t first, std::uint64_t pages) {
  for (std::uint64_t n = first; n < first + pages; ++n) poke(where, n, n + 1);
}

std::string mode_name(ForkMode mode) {
  switch (mode) {
    case ForkMode::kTree:
      return "tree";
    case ForkMode::kLeaf:
      return "leaf";
    case ForkMode::kCopy:
      return "copy";
  }
  return "unknown";
}

}  // namespace quire::test
