// Which session owns a terminal, which process group may use it, and what happens to the others.
#include <linux/fcntl.h>

#include <csignal>
#include <utility>

#include "mm/uaccess.h"
#include "syscall/syscall.h"
#include "tty/terminal.h"

namespace quire::kernel {

/// Stops a background process that wants to use its controlling terminal, by `signal` to its group.
/// Errors: EIO if it cannot be stopped so; kRestartSys. Linux v6.12
/// drivers/tty/tty_jobctrl.c:__tty_check_change()
Result<void> Terminal::check_background(int signal) {
  if (current_terminal() != this) return {};
  const Pid group = current_group();
  if (const Pid foreground = foreground_group(); foreground == 0 || foreground == group) return {};
  if (current_ignores(signal)) {
    if (signal == SIGTTIN) return fail(Errno::kIo);
    return {};
  }
  if (current_group_is_orphaned()) return fail(Errno::kIo);
  (void)signal_group(group, signal);
  return fail(kRestartSys);
}

void Terminal::attach(Pid session, Pid group) {
  Guard guard(lock_);
  session_ = session;
  group_ = group;
}

void Terminal::detach_session() {
  Pid group = 0;
  {
    Guard guard(lock_);
    group = std::exchange(group_, 0);
    session_ = 0;
  }
  if (group == 0) return;
  (void)signal_group(group, SIGHUP);
  (void)signal_group(group, SIGCONT);
}

void Terminal::acquire_on_open(std::uint32_t open_flags) {
  if ((open_flags & O_NOCTTY) != 0 || !current_is_session_leader() || current_terminal() != nullptr)
    return;
  (void)make_controlling(/*steal=*/false);
}

Pid Terminal::foreground_group() {
  Guard guard(lock_);
  return group_;
}

/// TIOCSCTTY. Errors: EPERM.
Result<void> Terminal::make_controlling(bool steal) {
  const Pid session = current_session(), group = current_group();
  Terminal* const own = current_terminal();
  if (!current_is_session_leader() || (own != nullptr && own != this)) return fail(Errno::kPerm);
  {
    Guard guard(lock_);
    if (session_ == session) return {};
    if (session_ != 0 && !(steal && current_credentials().can(CAP_SYS_ADMIN))) return fail(Errno::kPerm);
    session_ = session;
    group_ = group;
  }
  set_session_terminal(this);
  return {};
}

/// TIOCNOTTY. The terminal belongs to the session as a whole here, so only the leader can give it
/// up. Errors: ENOTTY, EPERM.
Result<void> Terminal::give_up_controlling() {
  QUIRE_CHECK(require_controlling());
  if (!current_is_session_leader()) return fail(Errno::kPerm);
  detach_session();
  set_session_terminal(nullptr);
  return {};
}

Result<void> Terminal::require_controlling() {
  if (current_terminal() != this) return fail(Errno::kNotTty);
  return {};
}

/// TIOCSPGRP. Errors: ENOTTY, EINVAL, EPERM, EFAULT; kRestartSys for a background caller that gets
/// SIGTTOU.
Result<void> Terminal::set_foreground_group(std::uint64_t argument) {
  if (auto allowed = check_background(SIGTTOU); !allowed) {
    return fail(allowed.error() == Errno::kIo ? Errno::kNotTty : allowed.error());
  }
  QUIRE_CHECK(require_controlling());
  QUIRE_TRY(const Pid group, get_user<Pid>(argument));
  if (group < 0) return fail(Errno::kInval);
  if (!group_in_session(group, current_session())) return fail(Errno::kPerm);
  Guard guard(lock_);
  group_ = group;
  return {};
}

}  // namespace quire::kernel
