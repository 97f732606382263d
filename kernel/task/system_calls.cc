// Calls about the machine as a whole. Behaviour: man7 uname(2), sysinfo(2), getrandom(2),
// personality(2).
#include <algorithm>
#include <array>
#include <cstring>

#include "boot/launch.h"
#include "drivers/console_port.h"
#include "lib/version.h"
#include "mm/memory.h"
#include "task/calls.h"
#include "task/random_layout.h"
#include "task/signals.h"
#include "task/time_arguments.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

constexpr std::uint32_t kQueryPersonality = 0xffffffff;

template <std::size_t kSize>
void put_name(char (&field)[kSize], std::string_view name) {
  std::memcpy(field, name.data(), std::min(name.size(), kSize - 1));
}

}  // namespace

SyscallResult sys_uname(const SyscallArgs& args) {
  uapi::new_utsname names{};
  put_name(names.sysname, "Linux");
  put_name(names.nodename, launch().hostname);
  put_name(names.release, kKernelRelease);
  put_name(names.version, kKernelVersion);
  put_name(names.machine, "x86_64");
  put_name(names.domainname, "(none)");
  QUIRE_CHECK(put_user(address_argument(args, 0), names));
  return 0;
}

SyscallResult sys_sysinfo(const SyscallArgs& args) {
  uapi::sysinfo info{};
  const LoadFigures load = load_figures();
  info.uptime = static_cast<__kernel_long_t>(monotonic_ns() / kNsPerSecond);
  for (std::size_t i = 0; i < std::size(info.loads); ++i) {
    info.loads[i] = (static_cast<std::uint64_t>(load.average[i]) << SI_LOAD_SHIFT) / 100;
  }
  info.totalram = memory().pool().total_frames().bytes().raw();
  info.freeram = memory().pool().free_frames().bytes().raw();
  info.procs = static_cast<__u16>(load.tasks);
  info.mem_unit = 1;
  QUIRE_CHECK(put_user(address_argument(args, 0), info));
  return 0;
}

/// Beside Linux's own personality only the flag that turns randomisation off is accepted.
SyscallResult sys_personality(const SyscallArgs& args) {
  const std::uint32_t wanted = uint_argument(args, 0);
  Process& process = current_process();
  const std::uint32_t old = process.personality;
  if (wanted == kQueryPersonality) return old;
  if ((wanted & ~kAddressNoRandomize) != 0) return fail(Errno::kInval);
  process.personality = wanted;
  return old;
}

SyscallResult sys_getrandom(const SyscallArgs& args) {
  const UserAddr to = address_argument(args, 0);
  const std::uint64_t size = std::min<std::uint64_t>(args.a[1], INT32_MAX);
  const std::uint32_t flags = uint_argument(args, 2);
  constexpr std::uint32_t kKnown = GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE;
  constexpr std::uint32_t kContradiction = GRND_RANDOM | GRND_INSECURE;
  if ((flags & ~kKnown) != 0 || (flags & kContradiction) == kContradiction)
    return fail(Errno::kInval);
  std::array<std::byte, 256> piece;
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t n = std::min(size - done, piece.size());
    random_bytes(piece.data(), n);
    if (const auto copied = copy_to_user(to + done, piece.data(), n); !copied) {
      if (done != 0) return static_cast<std::int64_t>(done);
      return fail(copied.error());
    }
    done += n;
    if (done < size && signal_pending()) return static_cast<std::int64_t>(done);
  }
  return static_cast<std::int64_t>(size);
}

SyscallResult sys_sethostname(const SyscallArgs&) { return fail(Errno::kPerm); }
SyscallResult sys_setdomainname(const SyscallArgs&) { return fail(Errno::kPerm); }
SyscallResult sys_reboot(const SyscallArgs&) { return fail(Errno::kPerm); }
SyscallResult sys_syslog(const SyscallArgs&) { return fail(Errno::kPerm); }

}  // namespace quire::kernel
