#include "bench/memory_bench.h"

#include "bench/probe.h"

namespace quire::cli {
namespace {

constexpr const char* kPrefix = "memory/";
constexpr const char* kModes[] = {"tree", "leaf", "copy"};
constexpr std::uint64_t kMemory = std::uint64_t{256} << 20;
constexpr const char* kFigures[] = {"system_call",       "clock_gettime",    "write_fault",        "zero_read",
                                    "write_over_zero",   "cow_copy",         "cow_reuse",
                                    "munmap_populated",  "dontneed_populated",
                                    "mmap_touch_munmap", "mmap_munmap",      "mremap_leaves",
                                    "huge_write_fault",  "huge_cow_copy",    "huge_cow_reuse",
                                    "huge_munmap"};

}  // namespace

std::vector<std::string> memory_benchmarks() {
  std::vector<std::string> names;
  for (const char* mode : kModes) names.push_back(std::string(kPrefix) + mode);
  return names;
}

std::vector<BenchResult> run_memory_benchmark(const std::string& name) {
  const Probe probe{.name = name,
                    .program = "memory_probe",
                    .arguments = {},
                    .fork_mode = name.substr(std::string(kPrefix).size()),
                    .memory = kMemory};
  if (const std::optional<BenchResult> skipped = skip_for_memory(probe)) return {*skipped};
  const ProbeFigures figures = run_probe(probe);
  std::vector<BenchResult> results;
  for (const char* figure : kFigures) results.push_back(result_of(probe, figures, figure));
  return results;
}

}  // namespace quire::cli
