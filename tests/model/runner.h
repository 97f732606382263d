// Runs operations on a hosted machine and on the flat oracle at once, and compares everything a
// program could see.
//
// Life cycle: one runner, one machine, eight places for spaces, three CPUs with different cache
// policies. step() until a difference is found (ok() is false then, failure() says what); finish()
// ends all spaces and checks that nothing is left over. It knows core only through its public
// interface.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/operation.h"
#include "model/oracle.h"
#include "quire/quire.h"

namespace quire::model {

struct RunnerConfig {
  Geometry geometry = Geometry::x86_64();
  ForkMode mode = ForkMode::kTree;
  bool any_mode = false;  ///< each fork chooses
  bool zero_page = true;
  bool lend_tables = false;  ///< what a space has resident of objects depends on others then, and is not compared
  std::uint64_t memory = std::uint64_t{128} << 20;
  unsigned audit_every = 256;  ///< steps; 0: only at the end
  bool move_pages = true;      ///< between steps, pages move to other frames: nobody may notice
};

/// How often each kind ran.
struct Counts {
  std::array<std::uint64_t, kKinds> by_kind{};
  std::uint64_t steps = 0, audits = 0, errors = 0, faults = 0;
  Counts& operator+=(const Counts& other);
};

class Runner {
 public:
  explicit Runner(const RunnerConfig& config);
  ~Runner();

  void step(const Operation& operation);
  /// Compares all contents, ends all spaces, audits, and checks that every frame came back.
  void finish();
  [[nodiscard]] bool ok() const { return failure_.empty(); }
  /// What differed, with the operation and the maps.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] Machine& machine() { return *machine_; }
  /// Injected failures of allocation: the next operation may fail with ENOMEM and must then have
  /// changed nothing. True if it did fail.
  bool step_with_failure(const Operation& operation, std::uint64_t nth);

 private:
  static constexpr unsigned kSpaces = 8, kCpus = 3;
  class Resolver;
  struct Place {
    std::unique_ptr<Resolver> resolver;  ///< of its registered mappings; outlives them
    Space space;
    std::unique_ptr<OracleSpace> oracle;
  };

  void create(Place& place);
  Place& pick(std::uint8_t selector);
  [[nodiscard]] std::uint64_t address(const Place& place, const Operation& operation) const;
  [[nodiscard]] std::uint64_t length(const Operation& operation) const;
  Cpu& cpu(const Operation& operation, Place& place);

  void mmap(Place& place, const Operation& operation);
  void munmap(Place& place, const Operation& operation);
  void mprotect(Place& place, const Operation& operation);
  void madvise(Place& place, const Operation& operation);
  void brk(Place& place, const Operation& operation);
  void access(Place& place, const Operation& operation, Kind kind);
  void bulk(Place& place, const Operation& operation, Kind kind);
  void fork(Place& place, const Operation& operation);
  void exit(Place& place, const Operation& operation);
  void set_limits(Place& place, const Operation& operation);
  void mremap(Place& place, const Operation& operation);
  void lock(Place& place, const Operation& operation);
  void ask(Place& place, const Operation& operation);
  void name(Place& place, const Operation& operation);
  void remap_pages(Place& place, const Operation& operation);
  void watch(Place& place, const Operation& operation);
  void guard(Place& place, VirtRange range, std::uint16_t detail);
  void track(Place& place);
  void expect_written(const Place& place, std::uint64_t at, std::uint64_t size);
  void make_good(Place& place, std::uint64_t begin, std::uint64_t bytes);

  [[nodiscard]] std::uint64_t window_offset(const Operation& operation) const;
  void compare_maps(Place& place);
  void compare_usage(Place& place);
  void compare_contents(Place& place);
  /// What observers say of all spaces, against frames that the oracle shares as Linux would.
  void compare_observed();
  void audit();
  void move_pages();
  void fail(const std::string& what);
  template <typename Expected, typename Actual>
  bool same_result(const char* name, const Expected& expected, const Actual& actual);
  template <typename Actual>
  bool failed_as_asked(const Actual& actual);

  RunnerConfig config_;
  OracleShape shape_;
  std::unique_ptr<Machine> machine_;
  std::uint64_t frames_at_start_ = 0;
  Objects objects_;
  std::uint64_t next_object_ = 1;
  std::map<const MemoryObject*, std::uint64_t> object_numbers_;
  std::array<Place, kSpaces> places_;
  std::array<std::unique_ptr<Cpu>, kCpus> cpus_;
  std::vector<std::uint64_t> zones_;  ///< addresses around which things happen
  std::uint64_t zone_pages_ = 0;
  std::string failure_;
  std::string current_;
  bool injecting_ = false;  ///< an allocation is to fail
  bool failed_ = false;     ///< … and the operation said so
  bool injected_ = false;   ///< … and did, though the operation succeeded
  bool partial_ = false;    ///< the operation may have faulted in some pages before it failed
  Counts counts_;
};

template <typename Expected, typename Actual>
bool Runner::same_result(const char* name, const Expected& expected, const Actual& actual) {
  const int wanted = expected ? 0 : expected.error();
  const int got = actual ? 0 : static_cast<int>(actual.error());
  if (wanted != 0) ++counts_.errors;
  if (wanted == got) return wanted == 0;
  fail(std::string(name) + ": errno " + std::to_string(got) + ", expected " +
       std::to_string(wanted));
  return false;
}

// A failure that was asked for, and that the operation reported: the oracle is not told of the
// operation.
template <typename Actual>
bool Runner::failed_as_asked(const Actual& actual) {
  if (!injecting_ || actual || !machine_->memory().pool().failure_injected()) return false;
  if (actual.error() != Errno::kNoMem && actual.error() != Errno::kAgain) return false;
  failed_ = true;
  return true;
}

/// Resolves each fault that it is asked about as the kernel would have.
class Runner::Resolver final : public FaultDelegate {
 public:
  Resolver(Runner& runner, Place& place) : runner_(runner), place_(place) {}
  void hold() override {}
  void release() override {}
  Answer ask(const AskedFault& fault) override;
  /// Tells the oracle what was supplied in an operation, which it is told first.
  void tell();
  std::uint64_t asked = 0;

 private:
  Runner& runner_;
  Place& place_;
  std::vector<std::uint64_t> supplied_;
};

/// Runs `steps` random operations; true if nothing differed. `report` receives the failure with the
/// seed.
bool run_random(const RunnerConfig& config, std::uint64_t seed, std::uint64_t steps, Counts& counts,
                std::string& report);

}  // namespace quire::model
