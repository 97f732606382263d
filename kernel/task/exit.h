// How tasks and processes end, and what is left of them.
//
// A task gives up its files and its memory, leaves its process, and is gone. The last one turns the
// process into a zombie: its children get a new parent, its own parent is told and reaps it by wait
// (or never hears of it, if it ignores SIGCHLD).
#pragma once

#include "task/process.h"

namespace quire::kernel {

/// Statuses as wait reports them.
[[nodiscard]] constexpr int status_of_exit(int code) { return (code & 0xff) << 8; }
[[nodiscard]] constexpr int signal_of_status(int status) { return status & 0x7f; }

/// Ends the current task. `status` counts if it is the last of its process, or its leader.
[[noreturn]] void exit_task(int status);
/// Ends the current task's process.
[[noreturn]] void exit_process(int status);

/// Takes a zombie off the tree and adds what it used to its parent's account. The caller drops the
/// reference without the lock. Locks: task_lock held.
[[nodiscard]] RefPtr<Process> reap_locked(Process& zombie);

/// Tells the parent of a zombie. Returns whether nobody will ever wait for it. Locks: task_lock held.
[[nodiscard]] bool tell_end_locked(Process& zombie);

/// Takes the current task out of its memory: robust futexes, clear_child_tid, a waiting vfork
/// parent. Exec passes the space to go on in, exit none.
void leave_space(AddressSpace* next);

/// Wakes the waiters for what a dead thread held (man7 get_robust_list(2)) and its joiner.
void release_user_locks(Task& task);

}  // namespace quire::kernel
