#include "bench/bench.h"

#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include <fmt/core.h>

#include "bench/fork_bench.h"
#include "bench/memory_bench.h"
#include "bench/shared_bench.h"
#include "bench/report.h"
#include "message.h"
#include "options.h"

namespace quire::cli {
namespace {

/// A name takes itself and everything below it; a pattern takes what it matches.
bool takes(const std::string& wanted, const std::string& name) {
  return name == wanted || name.starts_with(wanted + "/") ||
         fnmatch(wanted.c_str(), name.c_str(), 0) == 0;
}

/// One guest's worth of results.
struct Benchmark {
  std::string name;
  std::function<std::vector<BenchResult>()> run;
  /// The part of the name before the first slash: one report file each.
  [[nodiscard]] std::string group() const { return name.substr(0, name.find('/')); }
};

/// All, in the order they are run and reported.
std::vector<Benchmark> all_benchmarks() {
  std::vector<Benchmark> all;
  for (const ForkPoint& point : fork_points())
    all.push_back({point.name(), [point] { return run_fork_point(point); }});
  for (const std::string& name : memory_benchmarks())
    all.push_back({name, [name] { return run_memory_benchmark(name); }});
  for (const std::string& name : shared_benchmarks())
    all.push_back({name, [name] { return run_shared_benchmark(name); }});
  return all;
}

std::vector<Benchmark> chosen_benchmarks(const BenchOptions& options) {
  std::vector<Benchmark> chosen = all_benchmarks();
  if (options.names.empty()) return chosen;
  for (const std::string& wanted : options.names) {
    if (std::ranges::none_of(chosen,
                             [&](const Benchmark& each) { return takes(wanted, each.name); })) {
      throw UsageError(
          fmt::format("bench: nothing is named '{}'; quire bench --list shows the names", wanted));
    }
  }
  std::erase_if(chosen, [&](const Benchmark& each) {
    return std::ranges::none_of(
        options.names, [&](const std::string& wanted) { return takes(wanted, each.name); });
  });
  return chosen;
}

/// What is being run, on a terminal only.
void show_progress(std::size_t done, std::size_t total, const std::string& name) {
  if (isatty(STDERR_FILENO) == 0) return;
  fmt::print(stderr, "\r\x1b[K{}",
             done == total ? "" : fmt::format("[{}/{}] {}", done + 1, total, name));
}

std::string formatted(const BenchReport& report, const std::string& format) {
  if (format == "json") return format_json(report, "quire bench");
  if (format == "csv") return format_csv(report);
  return format_console(report);
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream file(path);
  file << text;
  file.flush();
  if (!file) throw Failure(fmt::format("--out: {} cannot be written", path.string()));
}

}  // namespace

void add_bench_options(CLI::App& app, BenchOptions& options) {
  app.add_option("NAME", options.names, "benchmarks to run, by name or pattern (default: all)")
      ->type_name("");
  app.add_flag("--list", options.list, "print the names and exit");
  add_choice(app, "--format", options.format, {"console", "json", "csv"},
             "of the report; json is Google Benchmark's schema");
  app.add_option("--out", options.directory, "also write the report to DIR/fork.json, DIR/memory.json (and .csv)")
      ->type_name("DIR");
}

int bench_command(const BenchOptions& options) {
  const std::vector<Benchmark> benchmarks = chosen_benchmarks(options);
  if (options.list) {
    for (const Benchmark& each : benchmarks) fmt::print("{}\n", each.name);
    return 0;
  }
  BenchReport report;
  std::map<std::string, BenchReport> groups;
  for (std::size_t i = 0; i < benchmarks.size(); ++i) {
    show_progress(i, benchmarks.size(), benchmarks[i].name);
    const std::vector<BenchResult> results = benchmarks[i].run();
    std::ranges::copy(results, std::back_inserter(report.results));
    std::ranges::copy(results, std::back_inserter(groups[benchmarks[i].group()].results));
  }
  show_progress(benchmarks.size(), benchmarks.size(), "");
  report.ratios = fork_ratios(report.results);
  if (!options.directory.empty()) {
    for (auto& [group, part] : groups) {
      part.ratios = fork_ratios(part.results);
      const std::filesystem::path file = std::filesystem::path(options.directory) / group;
      write_file(file.string() + ".json", formatted(part, "json"));
      write_file(file.string() + ".csv", formatted(part, "csv"));
    }
  }
  fmt::print("{}", formatted(report, options.format));
  return 0;
}

}  // namespace quire::cli
