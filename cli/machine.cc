#include "machine.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

namespace quire::cli {
namespace {

constexpr std::pair<const char*, ChannelFd> kPorts[] = {{"stdin", kStdinChannel},
                                                        {"stdout", kStdoutChannel},
                                                        {"stderr", kStderrChannel},
                                                        {"control", kControlChannel}};

std::string environment_or(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

}  // namespace

std::vector<std::string> qemu_arguments(const MachineConfig& config) {
  std::vector<std::string> words{config.qemu};
  const auto add = [&words](auto... more) { (words.emplace_back(more), ...); };

  // In exact mode the clock's own timer would let time jump while the guest waits for the host; the
  // launch block has the time.
  add("-M",
      fmt::format("microvm,acpi=off,pit=off,pic=off,rtc={},isa-serial=on,auto-kernel-cmdline=on,"
                  "memory-backend=ram",
                  config.clock == GuestClock::kRealTime ? "on" : "off"));
  add("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot");
  if (config.clock == GuestClock::kInstructions) {
    add("-accel", "tcg", "-cpu", "qemu64", "-icount", "shift=0,sleep=off", "-rtc",
        "base=2024-01-01,clock=vm");
  } else if (config.accelerator == Accelerator::kKvm) {
    add("-accel", "kvm", "-cpu", "host");
  } else {
    add("-accel", "tcg", "-cpu", "max");
  }
  // The host gives memory as it is touched, so a guest may have more than the host would promise.
  const std::string size = fmt::format("{}M", config.memory >> 20);
  add("-smp", std::to_string(config.cpus), "-m", size);
  add("-object", fmt::format("memory-backend-ram,id=ram,size={},reserve=off", size));
  add("-kernel", config.kernel, "-initrd", fmt::format("/proc/self/fd/{}", int{kLaunchFile}));
  add("-global", "virtio-mmio.force-legacy=false");
  add("-device", "isa-debug-exit,iobase=0xf4,iosize=4");

  add("-chardev", fmt::format("socket,id=log,fd={}", int{kLogChannel}), "-serial", "chardev:log");
  add("-device", "virtio-serial-device,max_ports=8");
  for (const auto& [name, fd] : kPorts) {
    add("-chardev", fmt::format("socket,id={},fd={}", name, int{fd}));
    add("-device", fmt::format("virtserialport,chardev={0},name=quire.{0}", name));
  }
  for (const SharedDirectory& directory : config.directories) {
    // A comma in an option value is written twice.
    std::string path;
    for (const char c : directory.host_path) path.append(c == ',' ? 2 : 1, c);
    add("-fsdev", fmt::format("local,id={},path={},security_model=none,multidevs=remap,readonly={}",
                              directory.tag, path,
                              directory.access == ShareAccess::kReadOnly ? "on" : "off"));
    add("-device", fmt::format("virtio-9p-device,fsdev={0},mount_tag={0}", directory.tag));
  }
  // Host entropy would make two exact runs differ; there the launch block carries a seed.
  if (config.clock == GuestClock::kRealTime) add("-device", "virtio-rng-device");
  return words;
}

MachineConfig default_machine() {
  std::error_code error;
  const auto binary =
      std::filesystem::read_symlink("/proc/self/exe", error);  // build/release/cli/quire
  const auto build = binary.parent_path().parent_path().parent_path();
  MachineConfig config;
  config.qemu = environment_or("QUIRE_QEMU", "qemu-system-x86_64");
  config.kernel = environment_or("QUIRE_KERNEL", build / "kernel" / "kernel" / "quire.elf");
  return config;
}

}  // namespace quire::cli
