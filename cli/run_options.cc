#include "run_options.h"

#include <algorithm>
#include <filesystem>

#include "guest_paths.h"
#include "options.h"
#include "text.h"

namespace quire::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kSmallestMemory = 32 * kMiB;
constexpr std::uint64_t kLargestMemory = 65536 * kMiB;
constexpr unsigned kMaxCpus = 8;

void set_memory(RunOptions& options, const std::string& text) {
  const auto size = parse_size(text);
  if (!size || *size < kSmallestMemory || *size > kLargestMemory || *size % kMiB != 0) {
    throw UsageError(
        fmt::format("-m: '{}' is not a size from 32M to 64G in whole MiB (512M, 2G, 2GiB)", text));
  }
  options.memory = *size;
}

void set_cpus(RunOptions& options, const std::string& text) {
  const auto count = parse_integer(text);
  if (!count || *count < 1 || *count > kMaxCpus) {
    throw UsageError(fmt::format("-c: '{}' is not a number of CPUs from 1 to {}", text, kMaxCpus));
  }
  options.cpus = static_cast<unsigned>(*count);
}

void set_timeout(RunOptions& options, const std::string& text) {
  double seconds = 0;
  if (!CLI::detail::lexical_cast(text, seconds) || !(seconds > 0) || seconds > 1e9) {
    throw UsageError(fmt::format("--timeout: '{}' is not a number of seconds above 0", text));
  }
  options.timeout =
      std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

void add_list(CLI::App& app, const std::string& names, std::vector<std::string>& target,
              const char* value, const std::string& description) {
  app.add_option(names, target, description)->allow_extra_args(false)->type_name(value);
}

void check_directory(const char* option, const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) throw UsageError(fmt::format("{}: {}: no such directory", option, path));
  if (!fs::is_directory(status))
    throw UsageError(fmt::format("{}: {}: not a directory", option, path));
}

/// One directory is the root; one may be the caller's own.
constexpr std::size_t kMaxWritableDirectories = kMaxDirectories - 2;

}  // namespace

Verbosity RunOptions::verbosity() const {
  return quiet ? Verbosity::kQuiet : static_cast<Verbosity>(std::min(verbose, 3));
}

std::string RunOptions::fork_sharing() const {
  if (!fork_mode.empty()) return fork_mode;
  return share == "fork" || share == "all" ? "tree" : "copy";
}

void add_run_options(CLI::App& app, RunOptions& options) {
  app.prefix_command();
  const auto with_text = [&app, &options](const std::string& names,
                                          void (*set)(RunOptions&, const std::string&),
                                          const char* value, const std::string& description) {
    app.add_option_function<std::string>(
           names, [&options, set](const std::string& text) { set(options, text); }, description)
        ->type_name(value);
  };
  with_text("-m,--memory", set_memory, "SIZE",
            "the guest's memory, such as 512M or 2G (default 2G)");
  with_text("-c,--cpus", set_cpus, "N", "CPUs, 1 to 8 (default 1)");
  add_choice(app, "--accel", options.accelerator, {"auto", "kvm", "tcg"},
             "how QEMU runs the guest; auto: kvm where a probe ran, else tcg");
  app.add_option("--root", options.root, "directory that is the guest's root (default /)")
      ->type_name("DIR");
  app.add_flag("--rw", options.root_writable,
               "write to the root itself instead of to an overlay in memory");
  add_list(app, "--rwdir", options.writable_directories, "DIR",
           "directory that the program may change; may be repeated");
  app.add_option("--cwd", options.cwd, "working directory in the guest (default: the caller's)")
      ->type_name("DIR");
  app.add_option("--user", options.user, "who to run as, names or numbers (default: the caller)")
      ->type_name("USER[:GROUP]");
  add_list(app, "-e,--env", options.environment, "K[=V]",
           "environment variable to set, or to pass on; may be repeated");
  add_choice(app, "--fork", options.fork_mode, {"tree", "leaf", "copy"},
             "what fork shares (default tree)");
  add_choice(app, "--share", options.share, {"none", "fork", "file", "all"},
             "which page tables processes share: those of a fork, those of files they map");
  // A flag, so that --stats PROGRAM does not take PROGRAM for its value.
  app.add_flag("--stats{text}", options.stats,
               "figures of the memory manager on stderr at the end (--stats=text, --stats=json)");
  with_text("--timeout", set_timeout, "SECONDS", "after which the guest is ended, with status 124");
  app.add_flag("--icount", options.exact,
               "exact mode: one CPU whose clocks count instructions; two runs agree");
  app.add_flag("-v,--verbose", options.verbose, "more on stderr; may be repeated");
  app.add_flag("-q,--quiet", options.quiet, "failures only on stderr");
  app.add_flag("--dry-run", options.dry_run, "print the QEMU command line and exit");
}

void check(const RunOptions& options) {
  if (options.program.empty())
    throw UsageError("run: PROGRAM is missing (quire run [OPTIONS] [--] PROGRAM [ARGS...])");
  if (!options.stats.empty() && options.stats != "text" && options.stats != "json") {
    throw UsageError(fmt::format("--stats: '{}' is not one of text, json", options.stats));
  }
  if (options.quiet && options.verbose > 0) throw UsageError("-v and -q exclude each other");
  if (options.root_writable && !options.writable_directories.empty()) {
    throw UsageError(
        "--rw makes the whole root writable; --rwdir DIR makes only DIR so: give one of them");
  }
  const bool fork_shares = options.share == "fork" || options.share == "all";
  if (!fork_shares && !options.fork_mode.empty() && options.fork_mode != "copy") {
    throw UsageError(fmt::format("--share {} and --fork {} exclude each other", options.share, options.fork_mode));
  }
  if (options.exact && options.cpus != 1)
    throw UsageError("--icount: exact mode has one CPU; leave -c out");
  if (options.exact && options.accelerator == "kvm")
    throw UsageError("--icount: instructions are counted by tcg, not by kvm");
  if (options.writable_directories.size() > kMaxWritableDirectories) {
    throw UsageError(fmt::format("--rwdir: at most {} directories", kMaxWritableDirectories));
  }
  check_directory("--root", options.root);
  // What the guest has of its own cannot be seen from here.
  if (!options.cwd.empty() && !hidden_by(options, options.cwd)) {
    check_directory("--cwd", fs::path(options.root) / fs::path(options.cwd).relative_path());
  }
  for (const std::string& directory : options.writable_directories)
    check_directory("--rwdir", directory);
}

MachineConfig machine_for(const RunOptions& options) {
  MachineConfig machine = default_machine();
  machine.memory = options.memory;
  machine.cpus = options.cpus;
  machine.clock = options.exact ? GuestClock::kInstructions : GuestClock::kRealTime;
  machine.directories.push_back(
      {"root", fs::canonical(options.root),
       options.root_writable ? ShareAccess::kReadWrite : ShareAccess::kReadOnly});
  const auto share = [&machine](const std::string& directory, ShareAccess access) {
    machine.directories.push_back(
        {fmt::format("share{}", machine.directories.size()), fs::canonical(directory), access});
  };
  for (const std::string& directory : options.writable_directories)
    share(directory, ShareAccess::kReadWrite);
  // The program starts where the caller is, even where the guest has a file system of its own.
  if (const auto here = callers_directory(options);
      options.cwd.empty() && here && hidden_by(options, *here)) {
    share(".", ShareAccess::kReadOnly);
  }
  return machine;
}

}  // namespace quire::cli
