// poll(2) and ppoll(2).
#include "ipc/calls.h"

#include <asm/resource.h>
#include <linux/poll.h>

#include <vector>

#include "ipc/poll_wait.h"

namespace quire::kernel {

namespace {

/// Kernel blocks are small; nobody polls that many descriptors here.
constexpr std::uint64_t kMostDescriptors = 4096;

Result<std::int64_t> poll_user(UserAddr address, std::uint64_t count, Deadline deadline) {
  if (count > current_rlimit(RLIMIT_NOFILE)) return fail(Errno::kInval);
  if (count > kMostDescriptors) return fail(Errno::kNoMem);
  std::vector<::pollfd> fds(count);
  QUIRE_CHECK(copy_from_user(fds.data(), address, count * sizeof(::pollfd)));
  std::vector<PollEntry> entries(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (fds[i].fd < 0) continue;
    if (auto file = current_files().get(fds[i].fd)) {
      entries[i].file = *file;
      entries[i].wanted = static_cast<std::uint16_t>(fds[i].events) | POLLERR | POLLHUP;
    } else {
      entries[i].ready = POLLNVAL;
    }
  }
  QUIRE_TRY(const unsigned ready, wait_for_events(entries, deadline));
  for (std::size_t i = 0; i < count; ++i)
    fds[i].revents = static_cast<std::int16_t>(entries[i].ready);
  QUIRE_CHECK(copy_to_user(address, fds.data(), count * sizeof(::pollfd)));
  return ready;
}

/// An interrupted poll that no handler saw goes on to the deadline it had.
Result<std::int64_t> poll_until(UserAddr address, std::uint64_t count, Deadline deadline) {
  const auto result = poll_user(address, count, deadline);
  if (result || result.error() != kRestartNoHand) return result;
  RestartBlock& restart = current_restart();
  restart.function = [](RestartBlock& block) {
    return poll_until(block.argument[0], block.argument[1], block.argument[2]);
  };
  restart.argument[0] = address;
  restart.argument[1] = count;
  restart.argument[2] = deadline;
  return fail(kRestartBlock);
}

}  // namespace

SyscallResult sys_poll(const SyscallArgs& args) {
  const auto milliseconds = static_cast<std::int32_t>(args.a[2]);
  const Deadline deadline =
      milliseconds < 0
          ? kForever
          : deadline_after(milliseconds / 1000, std::int64_t{milliseconds % 1000} * 1'000'000);
  return poll_until(args.a[0], static_cast<std::uint32_t>(args.a[1]), deadline);
}

SyscallResult sys_ppoll(const SyscallArgs& args) {
  QUIRE_TRY(const TimespecTimeout timeout, TimespecTimeout::read(args.a[2]));
  QUIRE_TRY(const bool masked, set_call_signal_mask(args.a[3], args.a[4]));
  const auto result = finish_call_signal_mask(
      masked, poll_user(args.a[0], static_cast<std::uint32_t>(args.a[1]), timeout.deadline()));
  timeout.write_back();
  return result;
}

}  // namespace quire::kernel
