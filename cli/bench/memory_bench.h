// The benchmark `memory`: what single faults and calls cost, in instructions (programs/memory_probe.c).
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"

namespace quire::cli {

/// The names of its groups, one guest each: "memory/tree" and so on by fork mode.
std::vector<std::string> memory_benchmarks();

/// Runs one of them. Throws Failure if the guest fails.
std::vector<BenchResult> run_memory_benchmark(const std::string& name);

}  // namespace quire::cli
