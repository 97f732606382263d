// System calls: how one is declared and found.
//
// Each area has an array of entries; table.cc merges them at boot into one table by number. A number with no entry answers ENOSYS, is
// counted per number, and is named once on the log (`-v`).
#pragma once

#include <cstdint>
#include <span>

#include "quire/base/errno.h"

namespace quire::kernel {

struct TrapFrame;

/// The six raw arguments.
struct SyscallArgs {
  std::uint64_t a[6];
  TrapFrame& frame;
};

/// A result ≥ 0, or an Errno that becomes −errno in rax. Interruptible calls return EINTR through one of the two restart errors below.
using SyscallResult = Result<std::int64_t>;
using SyscallHandler = SyscallResult (*)(const SyscallArgs&);

/// Not seen by programs: the call is restarted after the signal handler if SA_RESTART is set (Linux ERESTARTSYS), else EINTR.
inline constexpr Errno kRestartSys{512};
/// Restarted unless a handler runs (Linux ERESTARTNOHAND): pause, sigsuspend, poll, select.
inline constexpr Errno kRestartNoHand{514};
/// Restarted always, also after a handler (Linux ERESTARTNOINTR): fork.
inline constexpr Errno kRestartNoInterrupt{513};
/// Goes on through restart_syscall(2) unless a handler runs (Linux ERESTART_RESTARTBLOCK); returned by set_restart() only.
inline constexpr Errno kRestartBlock{516};

struct SyscallEntry {
  int number;
  const char* name;
  SyscallHandler handler;
};

/// The areas' arrays.
std::span<const SyscallEntry> process_syscalls();  ///< task/: fork … futex, signals, time, ids, limits
std::span<const SyscallEntry> memory_syscalls();   ///< mm/: mmap … madvise
std::span<const SyscallEntry> file_syscalls();     ///< fs/: open … poll, pipes, ioctl

/// Called by the entry code with interrupts on; stores the result in frame.rax. Afterwards the entry code calls return_to_user_work().
void dispatch_syscall(TrapFrame& frame);
/// Before every return to user mode: signals, reschedule. Implemented in task/.
void return_to_user_work(TrapFrame& frame);
/// Exceptions from user mode that are not resolved faults become signals (task/). `address` is CR2 for page faults.
void user_exception(TrapFrame& frame, std::uint64_t address);

}  // namespace quire::kernel
