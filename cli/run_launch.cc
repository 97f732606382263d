#include "run_launch.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <vector>

#include "guest_paths.h"
#include "terminal.h"
#include "text.h"

namespace quire::cli {
namespace {

struct Identity {
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
};

Identity caller() {
  Identity identity{geteuid(), getegid(), {}};
  const int count = getgroups(0, nullptr);
  identity.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  if (count > 0 && getgroups(count, identity.groups.data()) < 0) identity.groups.clear();
  return identity;
}

/// USER[:GROUP], names or numbers. A number need not be in the user database; its group is then the
/// number as well.
Identity identity_of(std::string_view text) {
  std::string_view group_text = text;
  const std::string user(take_until(group_text, ':'));
  const auto number = parse_integer(user);
  Identity identity;
  const passwd* entry = number ? getpwuid(static_cast<uid_t>(*number)) : getpwnam(user.c_str());
  if (entry == nullptr && !number)
    throw UsageError(fmt::format("--user: there is no user '{}' here", user));
  identity.user = number ? static_cast<uid_t>(*number) : entry->pw_uid;
  identity.group = entry != nullptr ? entry->pw_gid : static_cast<gid_t>(*number);
  if (entry != nullptr) {
    int count = 64;
    identity.groups.resize(static_cast<std::size_t>(count));
    if (getgrouplist(entry->pw_name, entry->pw_gid, identity.groups.data(), &count) < 0) count = 0;
    identity.groups.resize(static_cast<std::size_t>(count));
  }
  if (!group_text.empty()) {
    const std::string group(group_text);
    const auto group_number = parse_integer(group);
    const ::group* found = group_number ? nullptr : getgrnam(group.c_str());
    if (!group_number && found == nullptr)
      throw UsageError(fmt::format("--user: there is no group '{}' here", group));
    identity.group = group_number ? static_cast<gid_t>(*group_number) : found->gr_gid;
  }
  return identity;
}

void add_identity(LaunchBlock& block, const Identity& identity) {
  block.add("uid", std::to_string(identity.user));
  block.add("gid", std::to_string(identity.group));
  for (const gid_t group : identity.groups) block.add("group", std::to_string(group));
}

/// The caller's environment with the changes of -e, each name once.
std::vector<std::string> environment_for(const std::vector<std::string>& changes) {
  std::vector<std::string> variables;
  const auto name_of = [](std::string_view variable) { return take_until(variable, '='); };
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  for (const std::string& change : changes) {
    if (!change.contains('=')) continue;  // the caller's value, which is there already
    std::erase_if(variables, [&](const std::string& variable) {
      return name_of(variable) == name_of(change);
    });
    variables.push_back(change);
  }
  return variables;
}

mode_t current_umask() {
  const mode_t mask = umask(0);
  umask(mask);
  return mask;
}

}  // namespace

void add_exact_records(LaunchBlock& block) {
  block.add("tsc", "1000000000");                // instructions a second
  block.add("realtime", "1704067200000000000");  // 2024-01-01, as QEMU's clock in this mode
  block.add("randomize", "0");                   // programs lie where they lay in the last run
  block.add("seed", "5175697265206578616374206d6f64652073656564206279746573202e2e2e");
}

LaunchBlock launch_for(const RunOptions& options, const MachineConfig& machine,
                       const std::string& terminals) {
  LaunchBlock block;
  block.add("program", options.program.front());
  for (const std::string& argument : options.program) block.add("arg", argument);
  for (const std::string& variable : environment_for(options.environment))
    block.add("env", variable);
  block.add("cwd", options.cwd.empty() ? callers_directory(options).value_or("/") : options.cwd);
  add_identity(block, options.user.empty() ? caller() : identity_of(options.user));
  block.add("umask", fmt::format("{:o}", current_umask()));
  block.add("fork", options.fork_sharing());
  block.add("lend", options.files_lend() ? "1" : "0");
  block.add("root", machine.directories.front().tag);
  if (options.root_writable) block.add("rootrw", "1");
  for (std::size_t i = 1; i < machine.directories.size(); ++i) {
    const SharedDirectory& share = machine.directories[i];
    // Outside the root a directory keeps the name it has on the host. A read-only one is refused by
    // the host, write by write.
    block.add("rw",
              fmt::format("{} {}", share.tag,
                          path_in_guest(options.root, share.host_path).value_or(share.host_path)));
  }
  if (!terminals.empty()) block.add("tty", terminals);
  if (const auto size = Terminal::window_size())
    block.add("winsize", fmt::format("{} {}", size->rows, size->columns));
  if (!options.stats.empty()) block.add("stats", options.stats);
  block.add("verbose", std::to_string(std::max(static_cast<int>(options.verbosity()), 0)));
  if (options.exact) {
    add_exact_records(block);
  } else {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    block.add("realtime", std::to_string(std::chrono::nanoseconds(now).count()));
  }
  return block;
}

}  // namespace quire::cli
