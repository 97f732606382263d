// Results of a benchmark, written for people, for Google Benchmark's tools (its JSON schema), or as
// CSV.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace quire::cli {

/// One benchmark's result, or why there is none.
struct BenchResult {
  std::string name;
  double instructions = 0;  ///< median of the repetitions
  std::int64_t repetitions = 0;
  std::vector<std::pair<std::string, double>> counters;
  std::string skipped;  ///< reason, if it was not run
};

/// A figure made of two results.
struct BenchRatio {
  std::string name;
  double value = 0;
};

struct BenchReport {
  std::vector<BenchResult> results;
  std::vector<BenchRatio> ratios;
};

std::string format_console(const BenchReport& report);
/// `command`: how it was run, for the context.
std::string format_json(const BenchReport& report, const std::string& command);
std::string format_csv(const BenchReport& report);

}  // namespace quire::cli
