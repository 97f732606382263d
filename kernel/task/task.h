// Linux tasks and processes (thread groups), process groups and sessions.
//
// Life cycle of a Process: created by fork; zombie when its last task has exited; reaped by wait,
// or at once if the parent ignores SIGCHLD. Lock: one `task_lock` (SpinLock) over the tree of
// processes, groups, sessions and signal state: simple, and at most 8 CPUs.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fs/vfs.h"
#include "lib/ref_ptr.h"
#include "quire/space/address_space.h"
#include "sched/thread.h"
#include "sched/wait.h"
#include "task/capabilities.h"

namespace quire::kernel {

using Pid = std::int32_t;

struct Credentials {
  std::uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0, gid = 0, egid = 0, sgid = 0, fsgid = 0;
  std::vector<std::uint32_t> groups;
  Capabilities capabilities{};
  [[nodiscard]] bool in_group(std::uint32_t gid_wanted) const;
  /// Whether the capability CAP_* is effective.
  [[nodiscard]] bool can(unsigned capability) const { return Capabilities::contains(capabilities.effective, capability); }
};

class Process;
class Terminal;  // tty/terminal.h

/// Signal numbers as a bit set; bit n−1 is signal n.
using SignalSet = std::uint64_t;

class Task;
/// The running task. Pre: the current thread is one.
Task& current();

/// What files and terminals need from tasks. Implemented in task/.
Pid current_pid();
Pid current_tid();
FdTable& current_files();
FsContext& current_fs();
const Credentials& current_credentials();
/// RLIMIT_* of the current process (soft limit).
std::uint64_t current_rlimit(unsigned resource);
/// Whether a signal that would interrupt is pending for the current task.
bool signal_pending();
/// Sends `signal` to every member of a process group. ESRCH if there is none.
Result<void> signal_group(Pid group, int signal);
/// Sends to the calling task (SIGPIPE, SIGTTOU).
void signal_current(int signal);
/// Blocks `mask` for one system call (ppoll, pselect6). restore_signal_mask() ends it; if the call
/// ends with kRestartNoHand, the delivery of the signal, or the return to user mode without one,
/// does instead.
void set_temporary_signal_mask(SignalSet mask);
void restore_signal_mask();

/// How an interrupted system call goes on if no handler runs: the call fills it in and returns
/// fail(kRestartBlock). `function` gets the same block and may fill it in again. For sleeps with a
/// relative timeout, which must not start afresh.
struct RestartBlock {
  Result<std::int64_t> (*function)(RestartBlock&) = nullptr;
  std::uint64_t argument[5] = {};
};
RestartBlock& current_restart();

/// Job control, for terminals.
Pid current_group();
Pid current_session();
bool current_is_session_leader();
bool current_group_is_orphaned();
/// Whether the current task blocks or ignores `signal` (background reads and writes then fail with
/// EIO instead).
bool current_ignores(int signal);
/// Whether `group` exists in session `session`.
bool group_in_session(Pid group, Pid session);
/// The controlling terminal of the current session, or null; set or cleared by the terminal.
Terminal* current_terminal();
void set_session_terminal(Terminal* terminal);
/// No session has `terminal` any more (it was hung up).
void forget_session_terminal(Terminal& terminal);

/// The auxiliary vector as a program was given it: pairs of words, the end's included.
struct AuxiliaryVector final : RefCounted {
  std::vector<std::uint64_t> words;
};

/// For procfs: a snapshot of one process, and the list of all.
struct ProcessSnapshot {
  Pid pid = 0, parent = 0, group = 0, session = 0, tty_group = -1;
  Pid tracer = 0;  ///< of the leader; 0: none
  std::uint32_t tty_device = 0;
  char state = 'R';
  std::string command;     ///< comm, at most 15 bytes
  std::string executable;  ///< absolute path
  Credentials credentials;
  std::vector<Pid> tasks;
  std::uint64_t start_ns = 0, user_ns = 0, kernel_ns = 0, children_user_ns = 0,
                children_kernel_ns = 0;
  std::uint64_t minor_faults = 0, major_faults = 0, children_minor_faults = 0,
                children_major_faults = 0;
  std::uint64_t voluntary_switches = 0, involuntary_switches = 0;
  SignalSet pending = 0, shared_pending = 0, blocked = 0, ignored = 0, caught = 0;
  std::int32_t nice = 0;
  std::uint32_t umask = 022;
  AddressSpace* space = nullptr;  ///< acquired; the snapshot releases it
  RefPtr<FdTable> files;
  RefPtr<FsContext> fs;
  RefPtr<AuxiliaryVector> auxiliary;  ///< null: none
  std::uint64_t limits[16][2] = {};  ///< RLIMIT_* soft, hard
  ProcessSnapshot() = default;
  ProcessSnapshot(const ProcessSnapshot&) = delete;
  ProcessSnapshot& operator=(const ProcessSnapshot&) = delete;
  ~ProcessSnapshot();
};
std::vector<Pid> all_pids();
Result<std::unique_ptr<ProcessSnapshot>> snapshot_process(Pid pid);  ///< ESRCH
/// Load averages ×100 (1, 5, 15 min), counts of runnable and all tasks, and the last pid, for
/// /proc/loadavg.
struct LoadFigures {
  std::uint32_t average[3];
  std::uint32_t runnable, tasks;
  Pid last_pid;
};
LoadFigures load_figures();

/// Runs the program of the launch record as process 1's child (or as process 1's program) and
/// reports its end to the command. Does not return.
[[noreturn]] void run_program();

}  // namespace quire::kernel
