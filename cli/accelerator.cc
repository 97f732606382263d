#include "accelerator.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "guest.h"
#include "session.h"
#include "text.h"

namespace quire::cli {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds kProbeDeadline{2};

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

fs::path cache_file() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return fs::path(cache) / "quire" / "kvm";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return fs::path(home) / ".cache" / "quire" / "kvm";
  return {};
}

std::string boot_id() { return first_line("/proc/sys/kernel/random/boot_id"); }

/// The file holds "BOOT-ID usable|unusable REASON".
std::optional<KvmVerdict> cached_verdict() {
  const std::string line = first_line(cache_file());
  std::string_view rest = line;
  if (const auto id = take_until(rest, ' '); id.empty() || id != boot_id()) return std::nullopt;
  const auto state = take_until(rest, ' ');
  return KvmVerdict{state == "usable" ? KvmVerdict::State::kUsable : KvmVerdict::State::kUnusable,
                    std::string(rest)};
}

/// A verdict that cannot be kept is only asked for again.
void cache(const KvmVerdict& verdict) {
  const fs::path path = cache_file();
  if (path.empty()) return;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const fs::path draft = path.string() + fmt::format(".{}", getpid());
  {
    std::ofstream file(draft);
    file << boot_id() << (verdict.state == KvmVerdict::State::kUsable ? " usable " : " unusable ")
         << verdict.reason << '\n';
  }
  fs::rename(draft, path, error);
}

KvmVerdict run_self_test() {
  MachineConfig machine = default_machine();
  machine.memory = std::uint64_t{128} << 20;
  machine.accelerator = Accelerator::kKvm;
  LaunchBlock launch;
  launch.add("selftest", "1");
  Guest guest = Guest::start(machine, launch);
  std::string output;
  SessionConfig config;
  config.captured_output = &output;
  config.signals = SignalPolicy::kLeave;
  config.timeout = kProbeDeadline;
  const Outcome outcome = run_session(guest, config).outcome;
  if (outcome.kind == Outcome::Kind::kExited && outcome.number == 0)
    return {KvmVerdict::State::kUsable, "the self-test passed"};
  const std::string reason = describe(outcome);
  return {KvmVerdict::State::kUnusable,
          "/dev/kvm opens, but a guest's self-test failed: " + reason.substr(0, reason.find('\n'))};
}

}  // namespace

KvmVerdict probe_kvm(ProbePolicy policy) {
  if (access("/dev/kvm", F_OK) != 0) return {KvmVerdict::State::kUnusable, "there is no /dev/kvm"};
  if (access("/dev/kvm", R_OK | W_OK) != 0)
    return {KvmVerdict::State::kUnusable, "/dev/kvm may not be opened by this user"};
  if (policy == ProbePolicy::kCached) {
    if (auto verdict = cached_verdict()) return *std::move(verdict);
  }
  KvmVerdict verdict = run_self_test();
  cache(verdict);
  return verdict;
}

AcceleratorChoice choose_accelerator(const std::string& wanted) {
  if (wanted == "kvm") return {Accelerator::kKvm, "asked for"};
  if (wanted == "tcg") return {Accelerator::kTcg, "asked for"};
  KvmVerdict verdict = probe_kvm(ProbePolicy::kCached);
  const bool usable = verdict.state == KvmVerdict::State::kUsable;
  return {usable ? Accelerator::kKvm : Accelerator::kTcg,
          (usable ? "" : "no kvm: ") + std::move(verdict.reason)};
}

}  // namespace quire::cli
