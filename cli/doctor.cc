#include "doctor.h"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/core.h>

#include "accelerator.h"
#include "machine.h"
#include "text.h"

namespace quire::cli {
namespace {

enum class Need : std::uint8_t {
  kRequired,  ///< `quire run` does not work without it
  kOptional,
};

/// Prints the findings and remembers whether something required was missing.
class Report {
 public:
  void found(const char* name, const std::string& detail) { print("ok", name, detail); }
  void missing(Need need, const char* name, const std::string& cost) {
    print(need == Need::kRequired ? "MISSING" : "absent", name, cost);
    if (need == Need::kRequired) complete_ = false;
  }
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  static void print(const char* state, const char* name, const std::string& detail) {
    fmt::print("{:<8} {:<12} {}\n", state, name, detail);
  }
  bool complete_ = true;
};

/// stdout and stderr of a command, empty if it failed.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>&1").c_str(), "r"), pclose);
  if (!pipe) return {};
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), count);
  return text;
}

void check_qemu(Report& report, const std::string& qemu) {
  const std::string quoted = shell_line(std::array{qemu});
  const std::string version = output_of(quoted + " --version");
  if (!version.starts_with("QEMU")) {
    report.missing(Need::kRequired, "QEMU",
                   fmt::format("{} does not run; install qemu-system-x86", qemu));
    return;
  }
  report.found("QEMU", version.substr(0, version.find('\n')));
  if (output_of(quoted + " -M help").contains("microvm")) {
    report.found("microvm", "the machine of the guest");
  } else {
    report.missing(Need::kRequired, "microvm",
                   "this QEMU has no microvm machine; install Debian's qemu-system-x86");
  }
  if (output_of(quoted + " -device help").contains("virtio-9p-device")) {
    report.found("9p", "the guest can use the host's files");
  } else {
    report.missing(Need::kRequired, "9p",
                   "this QEMU has no virtio-9p-device; install Debian's qemu-system-x86");
  }
}

void check_kvm(Report& report) {
  const KvmVerdict verdict = probe_kvm(ProbePolicy::kFresh);
  if (verdict.state == KvmVerdict::State::kUsable) {
    report.found("KVM", verdict.reason);
  } else {
    report.missing(
        Need::kOptional, "KVM",
        verdict.reason + "; guests run under tcg, several times slower and with the same results");
  }
}

void check_file(Report& report, Need need, const char* name, const std::string& path,
                const std::string& cost) {
  if (access(path.c_str(), R_OK) == 0) {
    report.found(name, path);
  } else {
    report.missing(need, name, fmt::format("{} is not there; {}", path, cost));
  }
}

/// The kernel that comparisons will be made with.
void check_baseline(Report& report) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/boot", error)) {
    if (!entry.path().filename().string().starts_with("vmlinuz-")) continue;
    report.found("baseline", entry.path());
    return;
  }
  report.missing(
      Need::kOptional, "baseline",
      "no Linux kernel in /boot; costs nothing yet: quire compare is not in this version");
}

}  // namespace

int doctor_command() {
  Report report;
  const MachineConfig machine = default_machine();
  check_qemu(report, machine.qemu);
  check_file(report, Need::kRequired, "kernel", machine.kernel, "build it with: ./quire");
  if (report.complete()) check_kvm(report);
  check_baseline(report);
  check_file(report, Need::kOptional, "busybox", "/bin/busybox",
             "the examples of the README need busybox-static");
  return report.complete() ? 0 : 1;
}

}  // namespace quire::cli
