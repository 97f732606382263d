// ptrace(2) by parts: how tracing begins, and what is asked of a task that has stopped.
#pragma once

#include "mm/uaccess.h"
#include "syscall/syscall.h"
#include "task/tracing.h"

namespace quire::kernel {

/// PTRACE_TRACEME. Errors: EPERM.
SyscallResult trace_me();
/// PTRACE_ATTACH, PTRACE_SEIZE. Errors: ESRCH, EPERM.
SyscallResult trace_other(Pid tid, const TraceState& state);

/// The current task's tracee `tid`. Locks: task_lock held. Errors: ESRCH.
Result<Task*> tracee_locked(Pid tid);
/// The same if it has stopped.
Result<Task*> stopped_tracee_locked(Pid tid);

/// What a request is about.
struct TraceRequest {
  Pid tid;
  std::uint64_t address, data;
};
// Pre, for all: the tracee had stopped when the caller looked. Errors: ESRCH (it no longer has), EFAULT and those named.

// Memory and registers (trace_values.cc).
SyscallResult peek_memory(const TraceRequest& request);     ///< EIO
SyscallResult poke_memory(const TraceRequest& request);     ///< EIO
SyscallResult peek_user_area(const TraceRequest& request);  ///< EIO
SyscallResult poke_user_area(const TraceRequest& request);  ///< EIO, ENOSPC
SyscallResult get_registers(const TraceRequest& request);
SyscallResult set_registers(const TraceRequest& request);  ///< EIO
SyscallResult get_fpu_registers(const TraceRequest& request);
SyscallResult set_fpu_registers(const TraceRequest& request);  ///< EINVAL
SyscallResult get_register_set(const TraceRequest& request);   ///< EINVAL, ENODEV
SyscallResult set_register_set(const TraceRequest& request);   ///< EINVAL, EIO, ENODEV

// What a stop is about (trace_facts.cc).
SyscallResult get_signal_info(const TraceRequest& request);  ///< EINVAL
SyscallResult set_signal_info(const TraceRequest& request);  ///< EINVAL
SyscallResult get_signal_mask(const TraceRequest& request);  ///< EINVAL
SyscallResult set_signal_mask(const TraceRequest& request);  ///< EINVAL
SyscallResult get_event_message(const TraceRequest& request);
SyscallResult get_call_info(const TraceRequest& request);

}  // namespace quire::kernel
