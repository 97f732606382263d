#include "bench/fork_bench.h"

#include <algorithm>

#include <fmt/format.h>

#include "bench/probe.h"

namespace quire::cli {
namespace {

constexpr const char* kModes[] = {"tree", "leaf", "copy"};
constexpr std::uint64_t kMebibytes[] = {1, 4, 16, 64, 256, 1024, 4096};
constexpr std::uint64_t kHugeMebibytes[] = {4, 64, 1024};
constexpr std::uint64_t kMappings[] = {200, 2'000, 20'000, 60'000};
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::string size_name(ForkPoint::Size size, std::uint64_t count) {
  switch (size) {
    case ForkPoint::Size::kMebibytes: return fmt::format("{}MiB", count);
    case ForkPoint::Size::kHugeMebibytes: return fmt::format("{}MiB-huge", count);
    case ForkPoint::Size::kMappings: break;
  }
  return fmt::format("{}mappings", count);
}

std::string point_name(const std::string& mode, ForkPoint::Size size, std::uint64_t count) {
  return fmt::format("fork/{}/{}", mode, size_name(size, count));
}

/// Room for the touched pages, three sets of leaf tables and the kernel.
std::uint64_t memory_for(const ForkPoint& point) {
  const std::uint64_t touched =
      point.size == ForkPoint::Size::kMappings ? point.count * 4096 / kMiB : point.count;
  return (512 + touched + touched / 16) * kMiB;
}

Probe probe_of(const ForkPoint& point) {
  constexpr const char* kKinds[] = {"anon", "huge", "maps"};
  return {.name = point.name(),
          .program = "fork_probe",
          .arguments = {kKinds[static_cast<unsigned>(point.size)], std::to_string(point.count)},
          .fork_mode = point.mode,
          .memory = memory_for(point)};
}

}  // namespace

std::string ForkPoint::name() const { return point_name(mode, size, count); }

std::vector<ForkPoint> fork_points() {
  std::vector<ForkPoint> points;
  for (const char* mode : kModes) {
    for (const std::uint64_t count : kMebibytes)
      points.push_back({mode, ForkPoint::Size::kMebibytes, count});
    for (const std::uint64_t count : kHugeMebibytes)
      points.push_back({mode, ForkPoint::Size::kHugeMebibytes, count});
    for (const std::uint64_t count : kMappings)
      points.push_back({mode, ForkPoint::Size::kMappings, count});
  }
  return points;
}

std::vector<BenchResult> run_fork_point(const ForkPoint& point) {
  const Probe probe = probe_of(point);
  if (const std::optional<BenchResult> skipped = skip_for_memory(probe)) return {*skipped};
  const ProbeFigures figures = run_probe(probe);
  std::vector<BenchResult> results;
  for (const char* operation :
       {"fork", "fork_exit_wait", "first_write_parent", "first_write_child"}) {
    results.push_back(result_of(probe, figures, operation));
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
      add(mode, ForkPoint::Size::kHugeMebibytes, 1024, 4, operation);
      add(mode, ForkPoint::Size::kMappings, 60'000, 200, operation);
    }
  }
  return ratios;
}

}  // namespace quire::cli
