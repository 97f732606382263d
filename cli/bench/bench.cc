#include "bench/bench.h"

#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/core.h>

#include "bench/fork_bench.h"
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

std::vector<ForkPoint> chosen_points(const BenchOptions& options) {
  std::vector<ForkPoint> points = fork_points();
  if (options.names.empty()) return points;
  for (const std::string& wanted : options.names) {
    if (std::ranges::none_of(points,
                             [&](const ForkPoint& point) { return takes(wanted, point.name()); })) {
      throw UsageError(
          fmt::format("bench: nothing is named '{}'; quire bench --list shows the names", wanted));
    }
  }
  std::erase_if(points, [&](const ForkPoint& point) {
    return std::ranges::none_of(
        options.names, [&](const std::string& wanted) { return takes(wanted, point.name()); });
  });
  return points;
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
  app.add_option("--out", options.directory, "also write the report to DIR/fork.json (and .csv)")
      ->type_name("DIR");
}

int bench_command(const BenchOptions& options) {
  const std::vector<ForkPoint> points = chosen_points(options);
  if (options.list) {
    for (const ForkPoint& point : points) fmt::print("{}\n", point.name());
    return 0;
  }
  BenchReport report;
  for (std::size_t i = 0; i < points.size(); ++i) {
    show_progress(i, points.size(), points[i].name());
    std::ranges::move(run_fork_point(points[i]), std::back_inserter(report.results));
  }
  show_progress(points.size(), points.size(), "");
  report.ratios = fork_ratios(report.results);
  if (!options.directory.empty()) {
    const std::filesystem::path directory(options.directory);
    write_file(directory / "fork.json", formatted(report, "json"));
    write_file(directory / "fork.csv", formatted(report, "csv"));
  }
  fmt::print("{}", formatted(report, options.format));
  return 0;
}

}  // namespace quire::cli
