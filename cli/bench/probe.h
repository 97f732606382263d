// A benchmark's program in a guest of its own, in exact mode: what it prints is instructions.
//
// A probe prints lines of a name and one value per repetition (programs/*_probe.c). Guests do not
// disturb each other, and two runs agree.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/report.h"

namespace quire::cli {

struct Probe {
  std::string name;                    ///< of the benchmark
  std::string program;                 ///< below build/release/programs
  std::vector<std::string> arguments;  ///< without argv[0]
  std::string fork_mode;
  bool lends = true;         ///< files lend tables
  std::uint64_t memory = 0;  ///< of the guest, bytes
};

/// By name: the values of all repetitions.
using ProbeFigures = std::map<std::string, std::vector<double>>;

/// A skipped result, if this host has not the memory.
std::optional<BenchResult> skip_for_memory(const Probe& probe);

/// Throws Failure if the guest fails.
ProbeFigures run_probe(const Probe& probe);

/// "NAME/FIGURE" with the median, and the first and the largest value as counters. Throws Failure
/// if there is no such figure.
BenchResult result_of(const Probe& probe, const ProbeFigures& figures, const std::string& figure);

double median(std::vector<double> values);

}  // namespace quire::cli
