// The QEMU machine a guest runs on, as a command line (docs/decisions/0001-guest-contract.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quire::cli {

enum class Accelerator : std::uint8_t { kTcg, kKvm };

/// What the guest's clocks count.
enum class GuestClock : std::uint8_t {
  kRealTime,
  kInstructions,  ///< one instruction is one nanosecond; two runs agree
};

enum class ShareAccess : std::uint8_t { kReadOnly, kReadWrite };

/// A directory of the host that the guest reaches over 9p.
struct SharedDirectory {
  std::string tag;
  std::string host_path;
  ShareAccess access = ShareAccess::kReadOnly;
};

struct MachineConfig {
  std::string qemu;                               ///< program, searched in PATH
  std::string kernel;                             ///< ELF image
  std::uint64_t memory = std::uint64_t{2} << 30;  ///< bytes, whole MiB
  unsigned cpus = 1;
  Accelerator accelerator = Accelerator::kTcg;
  GuestClock clock = GuestClock::kRealTime;
  std::vector<SharedDirectory> directories;
};

/// virtio-mmio slots of a microvm that are left for directories beside the console and the random
/// numbers.
inline constexpr std::size_t kMaxDirectories = 6;

/// Where QEMU finds each channel. child_process.h puts them there.
enum ChannelFd : int {
  kStdinChannel = 3,
  kStdoutChannel,
  kStderrChannel,
  kControlChannel,
  kLogChannel,
  kLaunchFile,
};

/// The whole command line, program first. Deterministic: the same configuration gives the same
/// words.
std::vector<std::string> qemu_arguments(const MachineConfig& config);

/// The configuration every guest starts from: QEMU and the kernel image of this build, or those
/// that QUIRE_QEMU and QUIRE_KERNEL name (tests put other programs there).
MachineConfig default_machine();

}  // namespace quire::cli
