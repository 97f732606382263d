// What a tracer asks about a stop: the signal, the mask, the event, the system call. Linux v6.12 kernel/ptrace.c.
#include <linux/audit.h>
#include <linux/ptrace.h>

#include <algorithm>
#include <cstddef>

#include "arch/trap_frame.h"
#include "task/signals.h"
#include "task/trace_requests.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kUserInfoSize = 128;

/// What get_call_info() answers, and how much of it there is.
struct CallInfo {
  ptrace_syscall_info info{};
  std::size_t size = offsetof(ptrace_syscall_info, entry);
};

void describe_entry(CallInfo& to, const TrapFrame& frame) {
  to.info.op = PTRACE_SYSCALL_INFO_ENTRY;
  to.info.entry.nr = frame.orig_rax;
  const std::uint64_t arguments[] = {frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9};
  std::copy(std::begin(arguments), std::end(arguments), to.info.entry.args);
  to.size = offsetof(ptrace_syscall_info, entry) + sizeof to.info.entry;
}

void describe_exit(CallInfo& to, const TrapFrame& frame) {
  constexpr std::int64_t kLastError = -4095;
  to.info.op = PTRACE_SYSCALL_INFO_EXIT;
  to.info.exit.rval = static_cast<std::int64_t>(frame.rax);
  to.info.exit.is_error = to.info.exit.rval < 0 && to.info.exit.rval >= kLastError ? 1 : 0;
  to.size = offsetof(ptrace_syscall_info, exit.is_error) + sizeof to.info.exit.is_error;
}

CallInfo describe_locked(Task& task) {
  constexpr int kCallCode = SIGTRAP | 0x80;
  const TraceStop& stop = *task.trace_stop;
  const TrapFrame& frame = task.trap_frame();
  CallInfo result;
  result.info.arch = AUDIT_ARCH_X86_64;
  result.info.instruction_pointer = frame.rip;
  result.info.stack_pointer = frame.rsp;
  if (!stop.has_info || stop.info.code != kCallCode) return result;
  if (stop.message == PTRACE_EVENTMSG_SYSCALL_ENTRY) describe_entry(result, frame);
  if (stop.message == PTRACE_EVENTMSG_SYSCALL_EXIT) describe_exit(result, frame);
  return result;
}

}  // namespace

SyscallResult get_signal_info(const TraceRequest& request) {
  SignalInfo info;
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(const Task* const task, stopped_tracee_locked(request.tid));
    if (!task->trace_stop->has_info) return fail(Errno::kInval);
    info = task->trace_stop->info;
  }
  QUIRE_CHECK(put_user(request.data, info));
  QUIRE_CHECK(clear_user(request.data + sizeof info, kUserInfoSize - sizeof info));
  return 0;
}

SyscallResult set_signal_info(const TraceRequest& request) {
  QUIRE_TRY(const auto info, get_user<SignalInfo>(request.data));
  const TaskGuard guard(task_lock);
  QUIRE_TRY(const Task* const task, stopped_tracee_locked(request.tid));
  if (!task->trace_stop->has_info) return fail(Errno::kInval);
  task->trace_stop->info = info;
  return 0;
}

SyscallResult get_signal_mask(const TraceRequest& request) {
  if (request.address != sizeof(SignalSet)) return fail(Errno::kInval);
  SignalSet mask = 0;
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(const Task* const task, stopped_tracee_locked(request.tid));
    mask = task->restore_blocked ? task->saved_blocked : task->blocked;
  }
  QUIRE_CHECK(put_user(request.data, mask));
  return 0;
}

SyscallResult set_signal_mask(const TraceRequest& request) {
  if (request.address != sizeof(SignalSet)) return fail(Errno::kInval);
  QUIRE_TRY(const auto mask, get_user<SignalSet>(request.data));
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
  task->blocked = mask & ~kUnblockable;
  task->restore_blocked = false;
  update_attention_locked(*task);
  return 0;
}

SyscallResult get_event_message(const TraceRequest& request) {
  std::uint64_t message = 0;
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(const Task* const task, stopped_tracee_locked(request.tid));
    message = task->trace_stop->message;
  }
  QUIRE_CHECK(put_user(request.data, message));
  return 0;
}

SyscallResult get_call_info(const TraceRequest& request) {
  CallInfo call;
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
    call = describe_locked(*task);
  }
  QUIRE_CHECK(copy_to_user(request.data, &call.info, std::min<std::uint64_t>(call.size, request.address)));
  return static_cast<std::int64_t>(call.size);
}

}  // namespace quire::kernel
