// fork, vfork, clone, clone3. Behaviour: man7 clone(2); Linux v6.12 kernel/fork.c:copy_process(),
// kernel_clone().
//
// Everything that can fail is made first, without the lock; then the child enters the tree at once,
// or not at all. What fork does here does not depend on how much memory the parent has: the address
// space forks in constant time, and the rest is a few small objects.
#include <linux/ptrace.h>

#include <algorithm>
#include <cstring>

#include "arch/registers.h"
#include "arch/trap_frame.h"
#include "ipc/semaphores.h"
#include "sched/wait.h"
#include "task/calls.h"
#include "task/process_file.h"
#include "fs/page_cache.h"
#include "task/signals.h"
#include "task/task_limits.h"
#include "task/tracing.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                          CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                          CLONE_NEWNET | CLONE_NEWTIME;
constexpr std::uint64_t kUnsupported = CLONE_INTO_CGROUP;

struct CloneRequest {
  std::uint64_t flags = 0;  ///< CLONE_*, without the signal
  int exit_signal = 0;
  std::uint64_t stack = 0;  ///< 0: the parent's
  UserAddr parent_tid = 0, child_tid = 0;
  std::uint64_t tls = 0;
  UserAddr pidfd = 0;
  [[nodiscard]] bool has(std::uint64_t flag) const { return (flags & flag) != 0; }
};

/// Errors: EINVAL, EPERM.
Result<void> check_flags(const CloneRequest& request) {
  const bool wants_namespace = request.has(kNamespaceFlags);
  if (request.has(CLONE_THREAD) && !request.has(CLONE_SIGHAND)) return fail(Errno::kInval);
  if (request.has(CLONE_SIGHAND) && !request.has(CLONE_VM)) return fail(Errno::kInval);
  if (request.has(CLONE_SIGHAND) && request.has(CLONE_CLEAR_SIGHAND)) return fail(Errno::kInval);
  if (request.has(CLONE_FS) && request.has(CLONE_NEWNS | CLONE_NEWUSER)) return fail(Errno::kInval);
  if (request.has(kUnsupported)) return fail(Errno::kInval);
  // Linux v6.12 kernel/fork.c:copy_process(), but for descriptors of threads, which came with v6.9.
  if (request.has(CLONE_PIDFD) && request.has(CLONE_DETACHED | CLONE_THREAD)) return fail(Errno::kInval);
  // As a Linux built without namespaces answers who may make them, and who may not.
  if (wants_namespace) return fail(current_credentials().can(CAP_SYS_ADMIN) ? Errno::kInval : Errno::kPerm);
  if (request.exit_signal != 0 && !is_signal(request.exit_signal)) return fail(Errno::kInval);
  if (request.has(CLONE_PARENT) && current_process().parent == nullptr) return fail(Errno::kInval);
  return {};
}

RefPtr<Process> make_process(const CloneRequest& request) {
  Process& parent = current_process();
  RefPtr<Process> process = make_ref<Process>();
  process->exit_signal = request.exit_signal;
  process->dumpable = parent.dumpable;
  process->personality = parent.personality;
  process->actions = request.has(CLONE_SIGHAND) ? parent.actions : copy_actions(*parent.actions);
  if (request.has(CLONE_CLEAR_SIGHAND)) reset_handlers(*process->actions);
  process->start_ns = monotonic_ns();
  const TaskGuard guard(task_lock);
  process->no_new_privileges = parent.no_new_privileges;
  process->executable = parent.executable;
  process->auxiliary = parent.auxiliary;
  process->limits = parent.limits;
  return process;
}

/// Gives `child` memory. Errors: ENOMEM.
Result<void> share_or_fork_space(const CloneRequest& request, Task& child) {
  Task& parent = current();
  if (!request.has(CLONE_VM)) {
    Result<AddressSpace*> forked = parent.space->fork();
    if (!forked && drop_file_caches()) forked = parent.space->fork();
    if (!forked) return fail(forked.error());
    child.space = *forked;
    return {};
  }
  parent.space->acquire();
  child.space = parent.space;
  parent.shares_space = child.shares_space = true;
  return {};
}

/// Copies to `child` what a task has beside its memory. Errors: ENOMEM.
Result<void> copy_task(const CloneRequest& request, Task& child) {
  Task& parent = current();
  std::memcpy(child.command, parent.command, sizeof child.command);
  child.blocked = parent.blocked;
  child.allowed_cpus.store(parent.allowed_cpus.load());
  child.policy = parent.policy;
  // Linux v6.12 kernel/sched/core.c:sched_fork()
  child.nice = parent.resets_policy_on_fork ? std::max(parent.nice, 0) : parent.nice;
  child.credentials = parent.credentials;
  child.files = request.has(CLONE_FILES) ? parent.files : parent.files->clone();
  if (request.has(CLONE_SYSVSEM)) child.semaphore_undos = RefPtr<SemaphoreUndos>(&own_semaphore_undos());
  child.fs = request.has(CLONE_FS) ? parent.fs : parent.fs->clone();
  // The stack is the parent's: only a copy of the memory, or a parent that waits, makes it usable.
  if (!request.has(CLONE_VM) || request.has(CLONE_VFORK))
    child.alternate_stack = parent.alternate_stack;
  if (request.has(CLONE_CHILD_SETTID)) child.set_child_tid = request.child_tid;
  if (request.has(CLONE_CHILD_CLEARTID)) child.clear_child_tid = request.child_tid;
  child.fs_base = request.has(CLONE_SETTLS) ? request.tls : parent.fs_base;
  child.gs_base = parent.gs_base;
  if (!request.has(CLONE_VM)) inherit_sequences(parent, child);
  child.return_work = Task::kStarting;
  TrapFrame frame = parent.trap_frame();
  frame.rax = 0;
  frame.orig_rax = ~std::uint64_t{0};
  if (parent.tracer_steps) frame.rflags &= ~kFlagTrap;
  if (request.stack != 0) frame.rsp = request.stack;
  QUIRE_CHECK(child.prepare_user_return(frame));
  child.copy_fpu_from_current();
  return {};
}

/// The event that a tracer hears of a clone as. Linux v6.12 kernel/fork.c:kernel_clone().
unsigned event_of(const CloneRequest& request) {
  if (request.has(CLONE_VFORK)) return PTRACE_EVENT_VFORK;
  return request.exit_signal == SIGCHLD ? PTRACE_EVENT_FORK : PTRACE_EVENT_CLONE;
}

/// What the child's tracer, if it has one from birth, is to hold of it.
struct ChildTracing {
  std::unique_ptr<Tracing> tracing;  ///< null: the parent is not traced
  bool is_told = false;              ///< the parent's tracer hears of the birth
};

/// Gives the child the parent's tracer if that wants it or the request says so. Locks: task_lock held.
void trace_child_locked(const CloneRequest& request, ChildTracing& born, Task& child) {
  const Tracing* const parents = current().tracing;
  if (parents == nullptr || born.tracing == nullptr) return;
  born.is_told = !request.has(CLONE_UNTRACED) && parents->state.wants(event_of(request));
  if (!born.is_told && !request.has(CLONE_PTRACE)) return;
  born.tracing->state = parents->state.for_child();
  born.tracing->tracee_may_gain = parents->tracee_may_gain;
  link_tracing_locked(*parents->tracer, child, std::move(born.tracing));
  if (parents->state.is_seized()) return;
  SignalInfo stop{};
  stop.signal = SIGSTOP;
  stop.code = SI_USER;
  std::unique_ptr<QueuedSignal> none;
  child.pending.add(stop, none);
}

/// Puts the child where everybody finds it. A signal that waits comes first: one for the whole
/// group must find either no child or all of it. Locks: task_lock held. Errors: EAGAIN,
/// kRestartNoInterrupt.
Result<void> publish_locked(const CloneRequest& request, Task& child, Process& process, ChildTracing& born) {
  Task& parent = current();
  if (needs_attention_locked(parent)) return fail(kRestartNoInterrupt);
  QUIRE_CHECK(check_task_limit_locked(*parent.process));
  child.tid = tree().allocate_id();
  if (&process != parent.process.get()) {
    process.pid = child.tid;
    process.space = child.space;
    Process* const adopter =
        request.has(CLONE_PARENT) ? parent.process->parent : parent.process.get();
    process.maker = request.has(CLONE_PARENT) ? parent.process->maker : parent.tid;
    if (request.has(CLONE_PARENT)) process.exit_signal = parent.process->exit_signal;
    tree().add_process(process, adopter);
    static_cast<void>(tree().join_group(process, parent.process->group));
  }
  tree().add_task(process, child);
  ++process.tasks_in_space;
  trace_child_locked(request, born, child);
  child.attention.store(needs_attention_locked(child), std::memory_order_release);
  return {};
}

/// Waits until the child has let go of this memory, or a kill makes it pointless. Returns whether it has.
bool wait_for_vfork(const VforkEvent& event, WaitQueue& waiters) {
  Task& task = current();
  Sleeper sleeper;
  sleeper.add(waiters);
  sleeper.add(task.killed);
  const auto is_killed = [&] {
    const TaskGuard guard(task_lock);
    return is_to_end_locked(task);
  };
  while (!event.done.load(std::memory_order_acquire) && !is_killed())
    sleeper.sleep(Interruptible::kNo);
  return event.done.load(std::memory_order_acquire);
}

/// A descriptor for the child, which the program is told before there is one.
class FdReservation {
 public:
  FdReservation() = default;
  FdReservation(const FdReservation&) = delete;
  FdReservation& operator=(const FdReservation&) = delete;
  ~FdReservation() {
    if (fd_ >= 0) current_files().release(fd_);
  }
  /// Errors: EMFILE, EFAULT.
  Result<void> reserve(UserAddr told_at) {
    QUIRE_TRY(fd_, current_files().reserve(0));
    return put_user(told_at, std::int32_t{fd_});
  }
  void fill(RefPtr<File> file) { current_files().fill(std::exchange(fd_, -1), std::move(file), true); }

 private:
  int fd_ = -1;
};

/// An unborn child gives back what start_thread() would have passed on.
void discard(std::unique_ptr<Task>& child) {
  if (child->space != nullptr) child->space->release();
  child->space = nullptr;
  child.reset();
}

SyscallResult clone_task(const CloneRequest& request) {
  QUIRE_CHECK(check_flags(request));
  if (signal_pending()) return fail(kRestartNoInterrupt);
  const RefPtr<Process> process =
      request.has(CLONE_THREAD) ? current().process : make_process(request);
  auto child = std::make_unique<Task>();
  child->process = process;
  RefPtr<VforkEvent> vfork_event;
  if (request.has(CLONE_VFORK)) child->vfork_event = vfork_event = make_ref<VforkEvent>();
  FdReservation pidfd;
  if (request.has(CLONE_PIDFD)) QUIRE_CHECK(pidfd.reserve(request.pidfd));
  Result<void> made = share_or_fork_space(request, *child);
  if (made) made = copy_task(request, *child);
  ChildTracing born;
  if (current().tracing.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
    born.tracing = std::make_unique<Tracing>(TraceState(TraceKind::kAttached), false);
  if (made) {
    const TaskGuard guard(task_lock);
    made = publish_locked(request, *child, *process, born);
  }
  if (!made) {
    discard(child);
    return fail(made.error());
  }
  const Pid tid = child->tid;
  if (request.has(CLONE_PIDFD)) pidfd.fill(make_process_file(process, 0));
  // Linux ignores a bad address here too.
  if (request.has(CLONE_PARENT_SETTID)) static_cast<void>(put_user(request.parent_tid, tid));
  start_task(std::move(child));
  if (born.is_told) report_event(event_of(request), static_cast<std::uint64_t>(tid));
  if (vfork_event && wait_for_vfork(*vfork_event, vfork_event->waiters))
    report_event(PTRACE_EVENT_VFORK_DONE, static_cast<std::uint64_t>(tid));
  return tid;
}

}  // namespace

SyscallResult sys_fork(const SyscallArgs&) { return clone_task({.exit_signal = SIGCHLD}); }

SyscallResult sys_vfork(const SyscallArgs&) {
  return clone_task({.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD});
}

SyscallResult sys_clone(const SyscallArgs& args) {
  const std::uint64_t flags = uint_argument(args, 0);
  // Both are told at the same address.
  if ((flags & CLONE_PIDFD) != 0 && (flags & CLONE_PARENT_SETTID) != 0) return fail(Errno::kInval);
  return clone_task({.flags = flags & ~std::uint64_t{CSIGNAL},
                     .exit_signal = static_cast<int>(flags & CSIGNAL),
                     .stack = args.a[1],
                     .parent_tid = address_argument(args, 2),
                     .child_tid = address_argument(args, 3),
                     .tls = args.a[4],
                     .pidfd = address_argument(args, 2)});
}

SyscallResult sys_clone3(const SyscallArgs& args) {
  const UserAddr from = address_argument(args, 0);
  const std::uint64_t size = args.a[1];
  if (size > kPageSize) return fail(Errno::kTooBig);
  if (size < CLONE_ARGS_SIZE_VER0) return fail(Errno::kInval);
  uapi::clone_args wanted{};
  QUIRE_CHECK(copy_from_user(&wanted, from, std::min<std::uint64_t>(size, sizeof wanted)));
  for (std::uint64_t i = sizeof wanted; i < size; ++i) {
    QUIRE_TRY(const auto beyond, get_user<std::uint8_t>(from + i));
    if (beyond != 0) return fail(Errno::kTooBig);
  }
  // Linux v6.12 kernel/fork.c:clone3_args_valid(), clone3_stack_valid()
  constexpr std::uint64_t kOldFlags = CLONE_DETACHED | (CSIGNAL & ~std::uint64_t{CLONE_NEWTIME});
  if ((wanted.flags & kOldFlags) != 0 || wanted.exit_signal > kSignalCount)
    return fail(Errno::kInval);
  if ((wanted.flags & (CLONE_THREAD | CLONE_PARENT)) != 0 && wanted.exit_signal != 0)
    return fail(Errno::kInval);
  if ((wanted.stack == 0) != (wanted.stack_size == 0)) return fail(Errno::kInval);
  if (wanted.set_tid != 0 || wanted.set_tid_size != 0) return fail(Errno::kInval);
  return clone_task({.flags = wanted.flags,
                     .exit_signal = static_cast<int>(wanted.exit_signal),
                     .stack = wanted.stack == 0 ? 0 : wanted.stack + wanted.stack_size,
                     .parent_tid = wanted.parent_tid,
                     .child_tid = wanted.child_tid,
                     .tls = wanted.tls,
                     .pidfd = wanted.pidfd});
}

}  // namespace quire::kernel
