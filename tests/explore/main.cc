// The explorer's command line.
//
//   explore --list                          scenarios, their rows, what they do
//   explore --all [--jobs=N]                every scenario; totals and coverage of yield points
//   explore --scenario=NAME [--trace]       one; --preemptions=N and --limit=N bound the search
//   explore --scenario=NAME --replay=S      the schedule S that a failure printed
//   explore --check-reduction               that leaving out equal executions loses none of small scenarios' ends
//   explore_mutants --mutants [--jobs=N]    every mutation with the scenario that must notice it; --report=FILE for scripts/races.py
//   explore_mutants --scenario=NAME --mutation=NAME
//
// Exit status: 0 all well, 1 a failure was found (or a mutation was not), 2 wrong usage.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "explore/labels.h"
#include "explore/mutation.h"
#include "explore/report.h"
#include "explore/search.h"

namespace quire::explore {
namespace {

/// A failure's report begins with this, so that the parent process finds it.
constexpr const char* kFailed = "FAILED ";
constexpr const char* kLabelsLine = "  labels";

std::map<std::string, std::string> options_of(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int n = 1; n < argc; ++n) {
    const std::string text = argv[n];
    const auto equals = text.find('=');
    options[text.substr(0, equals)] = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  return options;
}

std::string text_of(const std::vector<Stretch>& schedule) {
  std::string text;
  for (const Stretch& each : schedule) text += (text.empty() ? "" : ",") + std::to_string(each.actor) + ":" + std::to_string(each.count);
  return text;
}

std::vector<Stretch> schedule_of(const std::string& text) {
  std::vector<Stretch> schedule;
  std::istringstream in(text);
  for (std::string each; std::getline(in, each, ',');) {
    const auto colon = each.find(':');
    schedule.push_back(
        {static_cast<unsigned>(std::stoul(each.substr(0, colon))), static_cast<std::uint32_t>(std::stoul(each.substr(colon + 1)))});
  }
  return schedule;
}

/// One exploration in this process. A failure is printed and ends it.
class Exploration {
 public:
  Exploration(const Scenario& scenario, const Search::Limits& limits, const Mutation* mutation, Runner::Detail detail)
      : scenario_(scenario), limits_(limits), mutation_(mutation), detail_(detail) {
    runner_.on_failure = [this](const char* kind, const std::string& message) { report_failure(kind, message); };
    on_panic_ = &runner_;
    set_panic_handler([](const char* text) { on_panic_->on_failure("assertion", text); });
  }

  int run() {
    const auto begin = std::chrono::steady_clock::now();
    const SearchResult result = make_search(limits_).run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%-34s %8llu schedules (%llu into known states), %llu histories, %llu outcomes, %zu labels, %zu sites, %.1f s%s\n",
                scenario_.name, static_cast<unsigned long long>(result.schedules), static_cast<unsigned long long>(result.repeats),
                static_cast<unsigned long long>(result.histories), static_cast<unsigned long long>(result.outcomes),
                runner_.labels().size(), runner_.sites(), took.count(), result.complete ? "" : " CUT OFF");
    print_labels();
    return 0;
  }

  SearchResult search(Reduction reduction) {
    Search::Limits limits = limits_;
    limits.reduction = reduction;
    return make_search(limits).run();
  }

  int replay(const std::string& schedule) {
    const std::string outcome = make_search(limits_).replay(schedule_of(schedule));
    std::printf("%s\n%s", outcome.c_str(), runner_.describe(detail_).c_str());
    return 0;
  }

 private:
  Search make_search(const Search::Limits& limits) {
    return Search(runner_, scenario_, limits,
                  [this](bool active) { active_mutation = active && mutation_ != nullptr ? mutation_->id : 0; });
  }

  [[noreturn]] void report_failure(const char* kind, const std::string& message) {
    active_mutation = 0;
    std::printf("%s%s: %s\n  in %s: %s\n%s  --replay=%s\n", kFailed, kind, message.c_str(), scenario_.name, scenario_.says,
                runner_.describe(detail_).c_str(), text_of(runner_.schedule()).c_str());
    print_labels();
    std::fflush(stdout);
    std::_Exit(1);
  }

  void print_labels() const {
    std::printf("%s", kLabelsLine);
    for (const std::string& label : runner_.labels()) std::printf(" %s", label.c_str());
    std::printf("\n");
  }

  static inline Runner* on_panic_ = nullptr;
  const Scenario& scenario_;
  Search::Limits limits_;
  const Mutation* mutation_;
  Runner::Detail detail_;
  Runner runner_;
};

/// The kind and message of a failure in a child's output.
std::string failure_in(const std::string& output) {
  const auto at = output.find(kFailed);
  if (at == std::string::npos) return "";
  const auto begin = at + std::strlen(kFailed);
  return output.substr(begin, output.find('\n', begin) - begin);
}

/// Members of core's Atomic that nobody calls today: not reached, nor wanted.
constexpr const char* kUnusedLabels[] = {"exchange", "fetch_and", "fetch_or"};

/// Prints what the whole catalogue reached; whether that is every label.
bool print_coverage(const std::vector<Job>& jobs) {
  std::set<std::string> reached;
  for (const Job& job : jobs) {
    std::istringstream lines(job.output);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with(kLabelsLine)) continue;
      std::istringstream words(line.substr(std::strlen(kLabelsLine)));
      for (std::string word; words >> word;) reached.insert(word);
    }
  }
  std::string missing;
  // Those of core; the explorer has some of its own.
  const auto count = std::ranges::count_if(known_labels(), [&](const char* label) { return reached.contains(label); });
  for (const char* label : known_labels()) {
    if (!reached.contains(label) && std::ranges::find(kUnusedLabels, std::string_view(label)) == std::end(kUnusedLabels)) {
      missing += std::string(" ") + label;
    }
  }
  std::printf("yield points reached: %zu labels of %zu known%s%s\n", static_cast<std::size_t>(count), known_labels().size(),
              missing.empty() ? "" : "; missing:", missing.c_str());
  return missing.empty();
}

int explore_all(const Search::Limits& limits, unsigned width) {
  std::vector<Job> jobs;
  const std::vector<const Scenario*> all = catalogue();
  for (const Scenario* each : all) {
    jobs.push_back({.work = [each, limits] { return Exploration(*each, limits, nullptr, Runner::Detail::kStretches).run(); }});
  }
  run_jobs(jobs, width);
  unsigned failures = 0;
  unsigned long long schedules = 0;
  for (std::size_t n = 0; n < all.size(); ++n) {
    if (all[n]->must_fail) {
      const bool found = !failure_in(jobs[n].output).empty();
      std::printf("%-34s %s: %s\n", all[n]->name, found ? "found, as it must be" : "NOT FOUND", failure_in(jobs[n].output).c_str());
      failures += found ? 0 : 1;
      continue;
    }
    const std::string& output = jobs[n].output;
    const bool cut = output.find("CUT OFF") != std::string::npos;
    std::printf("%s", jobs[n].status == 0 ? output.substr(0, output.find('\n') + 1).c_str() : output.c_str());
    if (jobs[n].status == 0) schedules += std::strtoull(output.c_str() + std::string_view(all[n]->name).size(), nullptr, 10);
    failures += jobs[n].status == 0 && !cut ? 0 : 1;
  }
  std::printf("%zu scenarios, %llu schedules with at most %u preemptions, %u failures\n", all.size(), schedules, limits.preemptions,
              failures);
  if (!print_coverage(jobs)) ++failures;
  return failures == 0 ? 0 : 1;
}

int explore_mutants(const Search::Limits& limits, unsigned width, const std::string& report_path) {
  std::vector<Job> jobs;
  for (const Mutation& each : mutations()) {
    jobs.push_back({.work = [&each, limits] {
      const Scenario* const scenario = find_scenario(each.scenario);
      if (scenario == nullptr) return 2;
      return Exploration(*scenario, limits, &each, Runner::Detail::kStretches).run();
    }});
  }
  run_jobs(jobs, width);
  std::ofstream report(report_path);
  unsigned survivors = 0;
  for (std::size_t n = 0; n < jobs.size(); ++n) {
    const Mutation& each = mutations()[n];
    const std::string failure = failure_in(jobs[n].output);
    std::printf("%-34s %s by %s: %s\n", each.name, failure.empty() ? "NOT CAUGHT" : "caught", each.scenario, failure.c_str());
    if (failure.empty()) std::printf("%s", jobs[n].output.c_str());
    survivors += failure.empty() ? 1 : 0;
    report << each.name << '\t' << each.scenario << '\t' << failure << '\n';
  }
  std::printf("%zu mutations, %u not caught\n", jobs.size(), survivors);
  return survivors == 0 ? 0 : 1;
}

// Everything that an exploration without reduction ends in, one with reduction ends in, too.
int check_reduction(const Search::Limits& limits, unsigned width) {
  std::vector<Job> jobs;
  std::vector<const Scenario*> small;
  for (const char* name : {"two_unmap", "exit_and_unshare", "unmap_and_map_again", "fork_and_reuse", "fork_and_munmap",
                           "fork_and_store_copy", "shared_memory_page", "exit_and_idle_cpu", "walk_and_unshare"}) {
    const Scenario* const scenario = find_scenario(name);
    small.push_back(scenario);
    jobs.push_back({.work = [scenario, limits] {
      Exploration exploration(*scenario, limits, nullptr, Runner::Detail::kStretches);
      const SearchResult reduced = exploration.search(Reduction::kOn);
      const SearchResult full = exploration.search(Reduction::kOff);
      const auto is_in = [](const auto& all) { return [&all](const auto& each) { return all.contains(each); }; };
      const bool same = std::ranges::all_of(full.states, is_in(reduced.states)) && std::ranges::all_of(full.ends, is_in(reduced.ends));
      std::printf("%-34s %llu schedules instead of %llu, %zu states instead of %zu, %s\n", scenario->name,
                  static_cast<unsigned long long>(reduced.schedules), static_cast<unsigned long long>(full.schedules),
                  reduced.states.size(), full.states.size(), same ? "nothing lost" : "LOSES SOME");
      return same ? 0 : 1;
    }});
  }
  run_jobs(jobs, width);
  int worst = 0;
  for (const Job& job : jobs) {
    std::printf("%s", job.output.c_str());
    worst = std::max(worst, job.status);
  }
  return worst;
}

int list() {
  for (const Scenario* each : catalogue()) std::printf("%s\t%s\t%s\n", each->name, each->rows, each->says);
  return 0;
}

int usage() {
  std::fprintf(stderr, "usage: explore --list | --all | --mutants | --scenario=NAME [--replay=SCHEDULE] [--mutation=NAME] [--trace]\n"
                       "       [--preemptions=N] [--limit=N] [--jobs=N] [--report=FILE]\n");
  return 2;
}

int run(const std::map<std::string, std::string>& options) {
  const auto number = [&options](const char* name, unsigned long usual) {
    const auto found = options.find(name);
    return found == options.end() ? usual : std::stoul(found->second);
  };
  const auto text = [&options](const char* name) {
    const auto found = options.find(name);
    return found == options.end() ? std::string() : found->second;
  };
  const Search::Limits limits{.preemptions = static_cast<unsigned>(number("--preemptions", 2)), .schedules = number("--limit", 1'000'000)};
  const auto width = static_cast<unsigned>(number("--jobs", 2));
  if (options.contains("--list")) return list();
  if (options.contains("--all")) return explore_all(limits, width);
  if (options.contains("--check-reduction")) return check_reduction(limits, width);
  if (options.contains("--mutants")) return explore_mutants(limits, width, text("--report"));
  const Scenario* const scenario = find_scenario(text("--scenario"));
  if (scenario == nullptr) return usage();
  const auto mutation = std::ranges::find_if(mutations(), [&](const Mutation& each) { return text("--mutation") == each.name; });
  if (options.contains("--mutation") && mutation == mutations().end()) return usage();
  Exploration exploration(*scenario, limits, options.contains("--mutation") ? &*mutation : nullptr,
                          options.contains("--trace") ? Runner::Detail::kEveryOperation : Runner::Detail::kStretches);
  return options.contains("--replay") ? exploration.replay(text("--replay")) : exploration.run();
}

}  // namespace
}  // namespace quire::explore

int main(int argc, char** argv) { return quire::explore::run(quire::explore::options_of(argc, argv)); }
