#include "run.h"

#include <unistd.h>

#include <fmt/core.h>

#include "accelerator.h"
#include "guest.h"
#include "guest_paths.h"
#include "run_launch.h"
#include "session.h"
#include "terminal.h"
#include "text.h"

namespace quire::cli {
namespace {

/// Raw mode needs the terminal on both sides; with one side elsewhere the caller's line discipline
/// serves as it does for any filter.
std::string terminals_for_guest() {
  const std::string terminals = Terminal::standard_terminals();
  return terminals.starts_with("01") ? terminals : "";
}

void show(const ControlMessage& message, Verbosity verbosity) {
  if (message.kind == ControlMessage::Kind::kStats) {
    say_raw(message.text);
  } else if (verbosity == Verbosity::kQuiet) {
    return;
  } else if (message.kind == ControlMessage::Kind::kNote) {
    say(message.text);
  } else if (message.kind == ControlMessage::Kind::kOverlay && message.number > 0) {
    say(fmt::format(
        "{} written to the root in memory {} discarded; --rwdir DIR keeps what is written to DIR",
        message.number == 1 ? "1 file" : fmt::format("{} files", message.number),
        message.number == 1 ? "was" : "were"));
  }
}

std::string explain_not_found(const RunOptions& options) {
  const std::string& program = options.program.front();
  if (const auto mount = hidden_by(options, program)) {
    return fmt::format(
        "{}: not found in the guest, which has a {} of its own; --rwdir DIR brings a directory in",
        program, *mount);
  }
  return fmt::format("{}: not found in the guest, whose root is {}", program, options.root);
}

void show_log(std::string_view log) {
  while (!log.empty()) {
    std::string_view line = take_until(log, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    say(fmt::format("kernel: {}", line));
  }
}

/// Says what has to be said about the end and turns it into an exit status.
int conclude(const SessionResult& result, const RunOptions& options) {
  const Outcome& outcome = result.outcome;
  const std::string& program = options.program.front();
  switch (outcome.kind) {
    case Outcome::Kind::kExited:
      return outcome.number;
    case Outcome::Kind::kKilled:
    case Outcome::Kind::kStopped:
      return kExitSignal + outcome.number;
    case Outcome::Kind::kNotFound:
      say(explain_not_found(options));
      return kExitNotFound;
    case Outcome::Kind::kNotExecutable:
      say(
          fmt::format("{}: not executable: it must be a program (ELF for x86-64, or a script) with "
                      "the execute bit set",
                      program));
      return kExitNotExecutable;
    case Outcome::Kind::kTimedOut:
      if (options.verbosity() > Verbosity::kQuiet)
        say(fmt::format("{}: ended by --timeout", program));
      return kExitTimeout;
    case Outcome::Kind::kHostFailed:
      say(outcome.text);
      return kExitFailure;
    case Outcome::Kind::kFailed:
      break;
  }
  const bool show = options.verbosity() < Verbosity::kVerbose &&
                    !result.log.empty();  // with -v it was shown as it came
  say(fmt::format("{}{}", outcome.text, show ? "; its kernel's log ends with:" : ""));
  if (show) show_log(result.log);
  return kExitFailure;
}

}  // namespace

int run_command(const RunOptions& options) {
  check(options);
  MachineConfig machine = machine_for(options);
  if (!options.exact) {
    const AcceleratorChoice choice = choose_accelerator(options.accelerator);
    machine.accelerator = choice.accelerator;
    if (options.verbosity() >= Verbosity::kVerbose) {
      say(fmt::format("accelerator {} ({})",
                      choice.accelerator == Accelerator::kKvm ? "kvm" : "tcg", choice.reason));
    }
  }
  if (options.dry_run) {
    fmt::print("{}\n", shell_line(qemu_arguments(machine)));
    return 0;
  }
  const std::string terminals = terminals_for_guest();
  Guest guest = Guest::start(machine, launch_for(options, machine, terminals));
  SessionConfig session;
  session.input = STDIN_FILENO;
  session.output = STDOUT_FILENO;
  session.errors = STDERR_FILENO;
  session.on_terminal = !terminals.empty();
  session.verbosity = options.verbosity();
  session.timeout = options.timeout;
  session.on_message = [&options](const ControlMessage& message) {
    show(message, options.verbosity());
  };
  return conclude(run_session(guest, session), options);
}

}  // namespace quire::cli
