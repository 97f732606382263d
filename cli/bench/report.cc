#include "bench/report.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <set>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace quire::cli {
namespace {

using nlohmann::ordered_json;

ordered_json context(const std::string& command) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return {{"date", fmt::format("{:%FT%T+00:00}", fmt::gmtime(std::time(nullptr)))},
          {"host_name", host},
          {"executable", command},
          {"num_cpus", std::thread::hardware_concurrency()},
          {"mhz_per_cpu", 1000},  // of the guest: an instruction is a nanosecond
          {"cpu_scaling_enabled", false},
          {"caches", ordered_json::array()},
          {"load_avg", ordered_json::array()},
          {"library_build_type", "release"},
          {"quire_version", QUIRE_VERSION},
          {"clock", "guest instructions (QEMU -icount shift=0, -cpu qemu64)"}};
}

std::string thousands(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string counters_text(const BenchResult& result) {
  std::string text;
  for (const auto& [name, value] : result.counters)
    text += fmt::format("  {}={}", name, thousands(value));
  return text;
}

}  // namespace

std::string format_console(const BenchReport& report) {
  std::size_t width = 10;
  for (const BenchResult& result : report.results) width = std::max(width, result.name.size());
  for (const BenchRatio& ratio : report.ratios) width = std::max(width, ratio.name.size());
  std::string text = fmt::format("{:<{}} {:>18}\n", "benchmark", width, "instructions");
  for (const BenchResult& result : report.results) {
    text += result.skipped.empty()
                ? fmt::format("{:<{}} {:>18}{}\n", result.name, width,
                              thousands(result.instructions), counters_text(result))
                : fmt::format("{:<{}} {:>18}  {}\n", result.name, width, "skipped", result.skipped);
  }
  if (!report.ratios.empty()) text += "\n";
  for (const BenchRatio& ratio : report.ratios)
    text += fmt::format("{:<{}} {:>18.3f}\n", ratio.name, width, ratio.value);
  return text;
}

std::string format_json(const BenchReport& report, const std::string& command) {
  ordered_json benchmarks = ordered_json::array();
  for (std::size_t i = 0; i < report.results.size(); ++i) {
    const BenchResult& result = report.results[i];
    ordered_json entry{{"name", result.name},
                       {"family_index", i},
                       {"per_family_instance_index", 0},
                       {"run_name", result.name},
                       {"run_type", "iteration"},
                       {"repetitions", 1},
                       {"repetition_index", 0},
                       {"threads", 1},
                       {"iterations", result.repetitions}};
    if (!result.skipped.empty()) {
      entry["error_occurred"] = true;
      entry["error_message"] = "skipped: " + result.skipped;
    }
    entry["real_time"] = result.instructions;
    entry["cpu_time"] = result.instructions;
    entry["time_unit"] = "ns";
    if (result.skipped.empty()) entry["instructions"] = result.instructions;
    for (const auto& [name, value] : result.counters) entry[name] = value;
    benchmarks.push_back(std::move(entry));
  }
  ordered_json ratios = ordered_json::object();
  for (const BenchRatio& ratio : report.ratios) ratios[ratio.name] = ratio.value;
  return ordered_json{{"context", context(command)}, {"benchmarks", benchmarks}, {"ratios", ratios}}
             .dump(2) +
         "\n";
}

std::string format_csv(const BenchReport& report) {
  std::set<std::string> names;
  for (const BenchResult& result : report.results) {
    for (const auto& counter : result.counters) names.insert(counter.first);
  }
  std::string text = "name,iterations,real_time,cpu_time,time_unit,error_message";
  for (const std::string& name : names) text += "," + name;
  text += "\n";
  for (const BenchResult& result : report.results) {
    text += fmt::format("\"{0}\",{1},{2:.0f},{2:.0f},ns,\"{3}\"", result.name, result.repetitions,
                        result.instructions, result.skipped);
    for (const std::string& name : names) {
      const auto counter =
          std::ranges::find(result.counters, name, &std::pair<std::string, double>::first);
      text += counter == result.counters.end() ? "," : fmt::format(",{:.0f}", counter->second);
    }
    text += "\n";
  }
  return text;
}

}  // namespace quire::cli
