// System calls: how one is declared and found.
//
// Each area has an array of entries; table.cc merges them at boot into one table by number. A number with no entry answers ENOSYS, is
// counted per number, and is named once on the log (`-v`).
#pragma once

#include <cstdint>
#include <span>

#include "quire/base/errno.h"
#include "quire/space/address_space.h"

namespace quire::kernel {

struct TrapFrame;

/// How many numbers of system calls are known of.
inline constexpr std::uint32_t kSyscallNumbers = 512;

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
std::span<const SyscallEntry> file_syscalls();     ///< fs/: open … ioctl
std::span<const SyscallEntry> ipc_syscalls();      ///< ipc/: pipes, eventfd, poll, select
std::span<const SyscallEntry> net_syscalls();      ///< net/: sockets

/// Called by the entry code with interrupts on; stores the result in frame.rax. Afterwards the entry code calls return_to_user_work().
void dispatch_syscall(TrapFrame& frame);
/// Before a call that is not called at once (Thread::direct_syscalls), whose number may change. Returns whether to call at all.
bool begin_watched_call(TrapFrame& frame);
/// Before every return to user mode, with interrupts on: signals. Implemented in task/. The entry code has rescheduled before, and
/// calls this again if interrupt_thread() came in between. It sees to it that what the frame says is fit for user mode: selectors
/// are set, system flags cleared, and a RIP that is not canonical faults in user mode.
void return_to_user_work(TrapFrame& frame);
/// The same for a thread whose Sequence is kInterrupted, before the next return_to_user_work().
void return_to_interrupted_sequence(TrapFrame& frame);
/// Exceptions from user mode that are not resolved faults become signals (task/). `address` is CR2 for page faults.
void user_exception(TrapFrame& frame, std::uint64_t address);
/// Within user_exception() for a page fault (vector 14): why it was not resolved (SEGV_MAPERR, SEGV_ACCERR, SIGBUS, out of memory).
FaultOutcome last_fault_outcome();
/// How often a number that has no entry was called.
std::uint64_t missing_syscall_count(int number);

}  // namespace quire::kernel
