// epoll_create(2), epoll_ctl(2), epoll_wait(2) and its relatives.
#include <linux/fcntl.h>

#include "ipc/calls.h"
#include "ipc/epoll.h"
#include "ipc/poll_wait.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

/// Linux v6.12 fs/eventpoll.c: EP_MAX_EVENTS.
constexpr std::int32_t kMostEvents = INT32_MAX / static_cast<int>(sizeof(EpollEvent));

int int_of(std::uint64_t argument) { return static_cast<std::int32_t>(argument); }

SyscallResult make_epoll(std::uint32_t flags) {
  QUIRE_TRY(const int fd, current_files().install(make_ref<Epoll>(), 0, (flags & EPOLL_CLOEXEC) != 0));
  return fd;
}

/// Checks what epoll_wait's relatives have in common, and waits.
Result<std::int64_t> wait_for_epoll(const SyscallArgs& args, Deadline deadline) {
  const std::int32_t most = int_of(args.a[2]);
  if (most <= 0 || most > kMostEvents) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> file, current_files().get(int_of(args.a[0])));
  if (file->kind() != FileKind::kEpoll) return fail(Errno::kInval);
  return static_cast<Epoll&>(*file).wait(args.a[1], static_cast<std::uint32_t>(most), deadline);
}

Deadline deadline_of_milliseconds(std::int32_t milliseconds) {
  if (milliseconds < 0) return kForever;
  return deadline_after(milliseconds / 1000, std::int64_t{milliseconds % 1000} * 1'000'000);
}

/// With a signal mask for the time of the wait: delivery restores it.
Result<std::int64_t> wait_masked(const SyscallArgs& args, Deadline deadline) {
  QUIRE_TRY(const bool masked, set_call_signal_mask(args.a[4], args.a[5]));
  auto result = wait_for_epoll(args, deadline);
  if (masked && (result || result.error() != Errno::kIntr)) restore_signal_mask();
  return result;
}

}  // namespace

SyscallResult sys_epoll_create(const SyscallArgs& args) {
  if (int_of(args.a[0]) <= 0) return fail(Errno::kInval);
  return make_epoll(0);
}

SyscallResult sys_epoll_create1(const SyscallArgs& args) {
  const auto flags = static_cast<std::uint32_t>(args.a[0]);
  if ((flags & ~std::uint32_t{EPOLL_CLOEXEC}) != 0) return fail(Errno::kInval);
  return make_epoll(flags);
}

SyscallResult sys_epoll_ctl(const SyscallArgs& args) {
  const int operation = int_of(args.a[1]), fd = int_of(args.a[2]);
  EpollEvent event{};
  if (operation != EPOLL_CTL_DEL) {
    QUIRE_TRY(event, get_user<EpollEvent>(args.a[3]));
  }
  QUIRE_TRY(const RefPtr<File> file, current_files().get(int_of(args.a[0])));
  QUIRE_TRY(const RefPtr<File> target, current_files().get(fd));
  if (!target->can_poll()) return fail(Errno::kPerm);
  if (file->kind() != FileKind::kEpoll) return fail(Errno::kInval);
  Epoll& epoll = static_cast<Epoll&>(*file);
  Result<void> done = fail(Errno::kInval);
  switch (operation) {
    case EPOLL_CTL_ADD:
      done = epoll.add(*target, fd, event);
      break;
    case EPOLL_CTL_MOD:
      done = epoll.modify(*target, fd, event);
      break;
    case EPOLL_CTL_DEL:
      done = epoll.remove(*target, fd);
      break;
    default:
      break;
  }
  QUIRE_CHECK(done);
  return 0;
}

SyscallResult sys_epoll_wait(const SyscallArgs& args) {
  return wait_for_epoll(args, deadline_of_milliseconds(int_of(args.a[3])));
}

SyscallResult sys_epoll_pwait(const SyscallArgs& args) {
  return wait_masked(args, deadline_of_milliseconds(int_of(args.a[3])));
}

SyscallResult sys_epoll_pwait2(const SyscallArgs& args) {
  QUIRE_TRY(const TimespecTimeout timeout, TimespecTimeout::read(args.a[3]));
  return wait_masked(args, timeout.deadline());
}

}  // namespace quire::kernel
