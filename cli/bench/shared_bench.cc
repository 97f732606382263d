#include "bench/shared_bench.h"

#include "bench/probe.h"

namespace quire::cli {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr const char* kFigures[] = {"first_write_page",   "later_write_page",  "later_read_page",
                                    "later_write_faults", "later_read_faults", "later_vmpte_kib"};

struct Group {
  const char* name;
  bool lends;
  std::uint64_t size_mib;
};
constexpr Group kGroups[] = {{"shared/lent/64MiB", true, 64},
                             {"shared/lent/1GiB", true, 1024},
                             {"shared/own/64MiB", false, 64},
                             {"shared/own/1GiB", false, 1024}};

}  // namespace

std::vector<std::string> shared_benchmarks() {
  std::vector<std::string> names;
  for (const Group& group : kGroups) names.emplace_back(group.name);
  return names;
}

std::vector<BenchResult> run_shared_benchmark(const std::string& name) {
  for (const Group& group : kGroups) {
    if (name != group.name) continue;
    const Probe probe{.name = name,
                      .program = "shared_probe",
                      .arguments = {std::to_string(group.size_mib)},
                      .fork_mode = "tree",
                      .lends = group.lends,
                      .memory = (group.size_mib + 256) * kMiB};
    if (const std::optional<BenchResult> skipped = skip_for_memory(probe)) return {*skipped};
    const ProbeFigures figures = run_probe(probe);
    std::vector<BenchResult> results;
    for (const char* figure : kFigures) results.push_back(result_of(probe, figures, figure));
    return results;
  }
  return {};
}

}  // namespace quire::cli
