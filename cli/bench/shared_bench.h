// The benchmark `shared`: what a process pays for shared memory that others have mapped (programs/shared_probe.c).
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"

namespace quire::cli {

/// The names of its groups, one guest each: "shared/lent/64MiB" with tables that files lend, "shared/own/64MiB" without.
std::vector<std::string> shared_benchmarks();

/// Runs one of them. Throws Failure if the guest fails.
std::vector<BenchResult> run_shared_benchmark(const std::string& name);

}  // namespace quire::cli
