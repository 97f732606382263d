#include "bench/probe.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "guest.h"
#include "message.h"
#include "run_launch.h"
#include "session.h"

namespace quire::cli {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::chrono::minutes kDeadline{10};

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

LaunchBlock launch_for(const Probe& probe) {
  LaunchBlock block;
  block.add("program", "/" + probe.program);
  block.add("arg", probe.program);
  for (const std::string& argument : probe.arguments) block.add("arg", argument);
  block.add("fork", probe.fork_mode);
  block.add("lend", probe.lends ? "1" : "0");
  block.add("root", "root");
  block.add("cwd", "/");
  add_exact_records(block);
  return block;
}

std::string output_of(const Probe& probe) {
  MachineConfig machine = default_machine();
  machine.memory = probe.memory;
  machine.clock = GuestClock::kInstructions;
  machine.directories.push_back({"root", programs_directory(), ShareAccess::kReadOnly});
  Guest guest = Guest::start(machine, launch_for(probe));
  std::string output;
  SessionConfig config;
  config.captured_output = &output;
  config.signals = SignalPolicy::kLeave;
  config.timeout = kDeadline;
  const SessionResult result = run_session(guest, config);
  if (result.outcome.kind == Outcome::Kind::kExited && result.outcome.number == 0) return output;
  throw Failure(fmt::format("{}: the guest failed: {}{}\n{}", probe.name,
                            describe(result.outcome), output, result.log));
}

}  // namespace

std::optional<BenchResult> skip_for_memory(const Probe& probe) {
  if (probe.memory <= available_memory()) return std::nullopt;
  BenchResult result;
  result.name = probe.name;
  result.skipped = fmt::format("needs {} MiB of free memory on this host", probe.memory / kMiB);
  return result;
}

ProbeFigures run_probe(const Probe& probe) {
  ProbeFigures figures;
  std::istringstream lines(output_of(probe));
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

BenchResult result_of(const Probe& probe, const ProbeFigures& figures, const std::string& figure) {
  const auto values = figures.find(figure);
  if (values == figures.end())
    throw Failure(fmt::format("{}: the probe did not report {}", probe.name, figure));
  BenchResult result;
  result.name = fmt::format("{}/{}", probe.name, figure);
  result.instructions = median(values->second);
  result.repetitions = static_cast<std::int64_t>(values->second.size());
  result.counters = {{"first", values->second.front()},
                     {"max", std::ranges::max(values->second)}};
  return result;
}

}  // namespace quire::cli
