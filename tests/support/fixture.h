// The fixture of nearly all tests: a hosted machine, one space, one CPU, and an audit when the test
// is over.
//
// Life cycle: members are made on first use; TearDown ends spaces and CPUs, audits before and
// after, and checks that every frame came back and that the simulated hardware saw nothing it
// should not have seen. Addresses: tests speak of page columns from base(), which lies on a
// boundary of tables of every level below the root.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quire/quire.h"
#include "support/audit.h"
#include "support/picture.h"

namespace quire::test {

/// How a picture's letters are mapped.
struct MapStyle {
  std::uint32_t prot = uapi::kProtRead | uapi::kProtWrite;
  std::uint32_t flags = uapi::kMapPrivate;
};

class MachineTest : public ::testing::Test {
 protected:
  /// Subclasses change these in their constructors, before anything is used.
  MachineConfig machine_config_{.memory = ByteCount(std::uint64_t{64} << 20), .poison_freed = true};
  AddressSpaceConfig space_config_;

  void TearDown() override;

  [[nodiscard]] Machine& machine();
  [[nodiscard]] MemoryManager& memory() { return machine().memory(); }
  /// The first space; made empty.
  [[nodiscard]] Space& space();
  [[nodiscard]] Space new_space();
  [[nodiscard]] Space fork(const Space& parent);
  [[nodiscard]] Space fork() { return fork(space()); }
  /// The first CPU, running space() unless told otherwise.
  [[nodiscard]] Cpu& cpu();
  /// One more CPU, running nothing, gone before the machine.
  Cpu& new_cpu(CachePolicy policy = CachePolicy::kKeepAll);

  [[nodiscard]] VirtAddr base();
  /// Page `n` from base().
  [[nodiscard]] VirtAddr at(std::uint64_t n) { return base() + PageCount(n).bytes(); }
  /// Maps each run of equal letters of the picture at its columns; '.' maps nothing.
  void map(const std::string& picture, MapStyle style = {}) { map(space(), picture, style); }
  void map(Space& where, const std::string& picture, MapStyle style = {});
  /// Maps pages at their columns, over what is there; expected to succeed, and says whether it did.
  bool map_pages(Space& where, std::uint64_t first, std::uint64_t pages, MapStyle style = {});
  Result<void> unmap(Space& where, std::uint64_t first, std::uint64_t pages);
  Result<void> protect(Space& where, std::uint64_t first, std::uint64_t pages, std::uint32_t prot);
  Result<void> advise(Space& where, std::uint64_t first, std::uint64_t pages, int advice);

  /// Stores into or loads from page column `n` through the first CPU.
  void poke(const Space& where, std::uint64_t n, std::uint64_t value);
  [[nodiscard]] std::uint64_t peek(const Space& where, std::uint64_t n);
  /// What the same access ends in when it does not succeed.
  [[nodiscard]] FaultOutcome outcome(const Space& where, std::uint64_t n, Access access);
  /// Writes n's number + 1 into each column of a range.
  void fill(const Space& where, std::uint64_t first, std::uint64_t pages);

  [[nodiscard]] std::uint64_t counter(Counter counter) { return memory().counters().sum(counter); }
  [[nodiscard]] std::string picture(const Space& where, unsigned pages) {
    return draw(*where, base(), pages);
  }
  void expect_clean_audit();

 private:
  std::unique_ptr<Machine> machine_;
  std::uint64_t frames_at_start_ = 0;
  Space space_;
  std::unique_ptr<Cpu> cpu_;
  std::vector<std::unique_ptr<Cpu>> more_cpus_;
};

/// The tests that must hold in every mode run once for each.
class EveryMode : public MachineTest, public ::testing::WithParamInterface<ForkMode> {
 protected:
  EveryMode() { space_config_.fork_mode = GetParam(); }
};
[[nodiscard]] std::string mode_name(ForkMode mode);
[[nodiscard]] inline std::string mode_of(const ::testing::TestParamInfo<ForkMode>& parameter) {
  return mode_name(parameter.param);
}

#define QUIRE_IN_EVERY_MODE(suite)                                                               \
  INSTANTIATE_TEST_SUITE_P(Modes, suite,                                                         \
                           ::testing::Values(::quire::ForkMode::kTree, ::quire::ForkMode::kLeaf, \
                                             ::quire::ForkMode::kCopy),                          \
                           ::quire::test::mode_of)

}  // namespace quire::test
