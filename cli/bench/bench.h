// `quire bench`: runs the benchmarks that were asked for and reports them.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace quire::cli {

struct BenchOptions {
  std::vector<std::string> names;  ///< empty: all
  bool list = false;
  std::string format = "console";
  std::string directory;  ///< empty: stdout only
};

void add_bench_options(CLI::App& app, BenchOptions& options);

/// Returns the command's exit status.
int bench_command(const BenchOptions& options);

}  // namespace quire::cli
