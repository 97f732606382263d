// The options of `quire run`, and the machine they ask for. What the guest is told is run_launch.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "machine.h"
#include "message.h"

namespace quire::cli {

/// What the user asked for; strings as typed, checked by the parser.
struct RunOptions {
  std::uint64_t memory = std::uint64_t{2} << 30;  ///< bytes
  unsigned cpus = 1;
  std::string accelerator = "auto";
  std::string root = "/";
  bool root_writable = false;
  std::vector<std::string> writable_directories;
  std::string cwd;                       ///< empty: the caller's
  std::string user;                      ///< empty: the caller
  std::vector<std::string> environment;  ///< K=V or K
  std::string fork_mode;  ///< empty: as `share` says
  std::string share = "all";
  std::string stats;  ///< empty: none
  std::optional<std::chrono::milliseconds> timeout;
  bool exact = false;
  int verbose = 0;
  bool quiet = false;
  bool dry_run = false;
  std::vector<std::string> program;  ///< and its arguments

  [[nodiscard]] Verbosity verbosity() const;
  /// What fork shares, of tree, leaf, copy; whether files lend tables.
  [[nodiscard]] std::string fork_sharing() const;
  [[nodiscard]] bool files_lend() const { return share == "file" || share == "all"; }
};

/// Adds the options and PROGRAM to a subcommand. What is typed wrong becomes a UsageError that
/// names the option and the choices.
void add_run_options(CLI::App& app, RunOptions& options);

/// Fails (UsageError) on combinations that make no sense.
void check(const RunOptions& options);

/// The directories the guest gets, without the accelerator, which run.cc decides.
MachineConfig machine_for(const RunOptions& options);

}  // namespace quire::cli
