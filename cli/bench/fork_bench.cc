#include "bench/fork_bench.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "guest.h"
#include "message.h"
#include "run_launch.h"
#include "session.h"

namespace quire::cli {
namespace {

constexpr const char* kModes[] = {"tree", "leaf", "copy"};
constexpr std::uint64_t kMebibytes[] = {1, 4, 16, 64, 256, 1024, 4096};
constexpr std::uint64_t kMappings[] = {200, 2'000, 20'000, 60'000};
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::chrono::minutes kPointDeadline{10};

std::string size_name(ForkPoint::Size size, std::uint64_t count) {
  return fmt::format("{}{}", count, size == ForkPoint::Size::kMebibytes ? "MiB" : "mappings");
}

std::string point_name(const std::string& mode, ForkPoint::Size size, std::uint64_t count) {
  return fmt::format("fork/{}/{}", mode, size_name(size, count));
}

/// Room for the touched pages, three sets of leaf tables and the kernel.
std::uint64_t memory_for(const ForkPoint& point) {
  const std::uint64_t touched =
      point.size == ForkPoint::Size::kMebibytes ? point.count : point.count * 4096 / kMiB;
  return (512 + touched + touched / 16) * kMiB;
}

/// MemAvailable of this host, bytes.
std::uint64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  while (file >> key) {
    if (key == "MemAvailable:" && file >> kib) return kib * 1024;
  }
  return 0;
}

/// build/release/programs beside build/release/cli/quire. It is the guest's whole root: nothing
/// else of the host can matter.
std::string programs_directory() {
  std::error_code error;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", error);
  return binary.parent_path().parent_path() / "programs";
}

LaunchBlock launch_for(const ForkPoint& point) {
  LaunchBlock block;
  block.add("program", "/fork_probe");
  block.add("arg", "fork_probe");
  block.add("arg", point.size == ForkPoint::Size::kMebibytes ? "anon" : "maps");
  block.add("arg", std::to_string(point.count));
  block.add("fork", point.mode);
  block.add("root", "root");
  block.add("cwd", "/");
  add_exact_records(block);
  return block;
}

std::string run_probe(const ForkPoint& point) {
  MachineConfig machine = default_machine();
  machine.memory = memory_for(point);
  machine.clock = GuestClock::kInstructions;
  machine.directories.push_back({"root", programs_directory(), ShareAccess::kReadOnly});
  Guest guest = Guest::start(machine, launch_for(point));
  std::string output;
  SessionConfig config;
  config.captured_output = &output;
  config.signals = SignalPolicy::kLeave;
  config.timeout = kPointDeadline;
  const SessionResult result = run_session(guest, config);
  if (result.outcome.kind == Outcome::Kind::kExited && result.outcome.number == 0) return output;
  throw Failure(fmt::format("{}: the guest failed: {}{}\n{}", point.name(),
                            describe(result.outcome), output, result.log));
}

/// The probe's lines: a name, then one value per repetition.
std::map<std::string, std::vector<double>> parse_probe(const std::string& output) {
  std::map<std::string, std::vector<double>> figures;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    for (double value = 0; words >> value;) figures[name].push_back(value);
  }
  return figures;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

std::string ForkPoint::name() const { return point_name(mode, size, count); }

std::vector<ForkPoint> fork_points() {
  std::vector<ForkPoint> points;
  for (const char* mode : kModes) {
    for (const std::uint64_t count : kMebibytes)
      points.push_back({mode, ForkPoint::Size::kMebibytes, count});
    for (const std::uint64_t count : kMappings)
      points.push_back({mode, ForkPoint::Size::kMappings, count});
  }
  return points;
}

std::vector<BenchResult> run_fork_point(const ForkPoint& point) {
  if (const std::uint64_t needed = memory_for(point); available_memory() < needed) {
    BenchResult result;
    result.name = point.name();
    result.skipped = fmt::format("needs {} MiB of free memory on this host", needed / kMiB);
    return {result};
  }
  const auto figures = parse_probe(run_probe(point));
  std::vector<BenchResult> results;
  for (const char* operation :
       {"fork", "fork_exit_wait", "first_write_parent", "first_write_child"}) {
    const auto values = figures.find(operation);
    if (values == figures.end())
      throw Failure(fmt::format("{}: the probe did not report {}", point.name(), operation));
    BenchResult result;
    result.name = fmt::format("{}/{}", point.name(), operation);
    result.instructions = median(values->second);
    result.repetitions = static_cast<std::int64_t>(values->second.size());
    result.counters = {{"first", values->second.front()},
                       {"max", std::ranges::max(values->second)}};
    results.push_back(std::move(result));
  }
  auto& counters = results.front().counters;
  if (const auto tables = figures.find("tables"); tables != figures.end()) {
    // What parent and idle child together needed since fork began: no less than the child's own.
    counters.emplace_back("tables_allocated", median(tables->second));
    counters.emplace_back("own_table_bytes", median(tables->second) * 4096);
  }
  if (const auto reached = figures.find("child_vmpte_kb"); reached != figures.end()) {
    counters.emplace_back("child_vmpte_bytes", median(reached->second) * 1024);
  }
  return results;
}

std::vector<BenchRatio> fork_ratios(const std::vector<BenchResult>& results) {
  std::vector<BenchRatio> ratios;
  const auto find = [&results](const std::string& mode, ForkPoint::Size size, std::uint64_t count,
                               const char* operation) {
    return std::ranges::find(results,
                             fmt::format("{}/{}", point_name(mode, size, count), operation),
                             &BenchResult::name);
  };
  const auto add = [&](const char* mode, ForkPoint::Size size, std::uint64_t large,
                       std::uint64_t small, const char* operation) {
    const auto above = find(mode, size, large, operation);
    const auto below = find(mode, size, small, operation);
    if (above == results.end() || below == results.end()) return;
    ratios.push_back({fmt::format("fork/{}/{} {} over {}", mode, operation, size_name(size, large),
                                  size_name(size, small)),
                      above->instructions / below->instructions});
  };
  for (const char* mode : kModes) {
    for (const char* operation : {"fork", "fork_exit_wait"}) {
      add(mode, ForkPoint::Size::kMebibytes, 4096, 4, operation);
      add(mode, ForkPoint::Size::kMappings, 60'000, 200, operation);
    }
  }
  return ratios;
}

}  // namespace quire::cli
