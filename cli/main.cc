// The quire command: parses the command line and calls the subcommand.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "bench/bench.h"
#include "doctor.h"
#include "message.h"
#include "program_words.h"
#include "run.h"
#include "text.h"

namespace quire::cli {
namespace {

constexpr const char* kCommands = "run, bench, doctor";

/// CLI11 knows no way to say that a subcommand takes a program.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (!app->get_prefix_command()) return Formatter::make_usage(app, name);
    return fmt::format("Usage: {} [OPTIONS] [--] PROGRAM [ARGS...]\n", name);
  }
};

/// A closed fd 0-2 would be taken by the first thing opened.
void open_missing_standard_files() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) _exit(kExitFailure);
  }
}

/// CLI11's own wording names neither the subcommand's help nor the choices.
UsageError explain(const CLI::ParseError& error, const CLI::App& app, int argc, char** argv) {
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) {
    const std::string_view word = argc > 1 ? argv[1] : "";
    if (word == "compare" || word == "view") {
      return UsageError(fmt::format("{}: not in this version (choices: {})", word, kCommands));
    }
    if (word.empty())
      return UsageError(
          fmt::format("a command is missing (choices: {}); see quire --help", kCommands));
    return UsageError(fmt::format("unknown {} '{}' (choices: {}); see quire --help",
                                  word.starts_with('-') ? "option" : "command", word, kCommands));
  }
  const std::string command = chosen.front()->get_name();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    std::string_view text = error.what();
    return UsageError(
        fmt::format("{}: a value is missing; see quire {} --help", take_until(text, ':'), command));
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const auto extras = chosen.front()->remaining();
    return UsageError(fmt::format("{0}: unknown option '{1}'; see quire {0} --help", command,
                                  extras.empty() ? "" : extras.front()));
  }
  return UsageError(fmt::format("{}: {}; see quire {} --help", command, error.what(), command));
}

int dispatch(int argc, char** argv) {
  CLI::App app(
      "Runs Linux programs on Quire, a memory manager whose page tables are shared and copied on "
      "write at every level.",
      "quire");
  app.set_version_flag("--version", "quire " QUIRE_VERSION);
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  app.footer("./quire test, at the root of the source tree, runs the project's tests.");

  RunOptions run_options;
  CLI::App* run = app.add_subcommand("run", "run a program in a guest and exit as it does");
  run->footer(
      "Exit status: the program's own; 128+N if signal N ended it; 124 after --timeout; 125 if "
      "Quire failed; 126 if PROGRAM cannot be\n"
      "executed; 127 if it is not found; 2 for a wrong command line.");
  add_run_options(*run, run_options);
  BenchOptions bench_options;
  CLI::App* bench = app.add_subcommand("bench", "measure, in instructions of an exact guest");
  add_bench_options(*bench, bench_options);
  CLI::App* doctor =
      app.add_subcommand("doctor", "say what is here, what is missing, and what that costs");

  try {
    app.parse(words_to_parse(argc, argv, run->get_name()));
  } catch (const CLI::Success& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    throw explain(error, app, argc, argv);
  }
  if (*run) {
    run_options.program = program_words(run->remaining(), run->get_name());
    return run_command(run_options);
  }
  if (*bench) return bench_command(bench_options);
  if (*doctor) return doctor_command();
  return 0;
}

}  // namespace
}  // namespace quire::cli

int main(int argc, char** argv) {
  using namespace quire::cli;
  open_missing_standard_files();
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return dispatch(argc, argv);
  } catch (const Failure& failure) {
    say(failure.what());
    return failure.status();
  } catch (const std::exception& error) {
    say(error.what());
    return kExitFailure;
  }
}
