// execve and execveat. Behaviour: man7 execve(2); Linux v6.12 fs/exec.c:begin_new_exec(),
// de_thread().
//
// The new program is complete in its own address space before anything of the old one goes. After
// that nothing can fail, so there is no state in between in which Linux would have to kill.
#include <linux/fcntl.h>

#include "arch/trap_frame.h"
#include "sched/wait.h"
#include "task/calls.h"
#include "task/exit.h"
#include "task/program.h"
#include "task/signals.h"
#include "task/tracing.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kLongestPath = 4096;

RefPtr<SharedLimits> limits_of(const Process& process) {
  const TaskGuard guard(task_lock);
  return process.limits;
}

Result<Program> load_for_current(const ProgramFile& file, UserAddr argv, UserAddr envp) {
  Task& task = current();
  const RefPtr<SharedLimits> limits = limits_of(*task.process);
  std::uint64_t budget = argument_budget(limits->limit[RLIMIT_STACK].soft);
  ExecArguments strings;
  for (const std::string& argument : file.prefix) {
    if (argument.size() + sizeof(UserAddr) > budget) return fail(Errno::kTooBig);
    budget -= argument.size() + sizeof(UserAddr);
    strings.arguments.append(argument);
  }
  QUIRE_CHECK(copy_vector_from_user(strings.arguments, argv, file.prefix.empty() ? 0 : 1, budget));
  // Linux since v5.18: nobody starts without an argv[0].
  if (strings.arguments.count() == 0) strings.arguments.append("");
  QUIRE_CHECK(copy_vector_from_user(strings.environment, envp, 0, budget));
  return load_program(file, strings, task.credentials->value,
                      {task.space->fork_mode(), task.space->borrows(), *limits, current_process().personality});
}

/// Ends all other tasks of the process and makes this one its leader. Errors: kRestartNoInterrupt
/// (this task is to end instead).
Result<void> become_only_task() {
  Task& task = current();
  Process& process = *task.process;
  DiscardedTracings discarded;
  {
    const TaskGuard guard(task_lock);
    if (process.ending || process.execing) return fail(kRestartNoInterrupt);
    if (process.task_count == 1 && task.tid == process.pid) return {};
    process.execing = true;
    process.exec_task = &task;
    process.resume.wake_all();
    end_trace_stops_locked(process, &task);
    for (Task& other : process.tasks) {
      if (&other == &task) continue;
      update_attention_locked(other);
      other.killed.wake_all();
    }
  }
  Sleeper sleeper;
  sleeper.add(process.tasks_changed);
  for (;;) {
    {
      const TaskGuard guard(task_lock);
      if (process.task_count == 1) {
        process.execing = false;
        process.exec_task = nullptr;
        if (task.tid != process.pid) {
          succeed_traced_leader_locked(task, discarded);
          tree().make_leader(task);
        }
        return {};
      }
    }
    sleeper.sleep(Interruptible::kNo);
  }
}

/// Files and signal actions that others share stay theirs.
void unshare_for_exec() {
  Task& task = current();
  Process& process = *task.process;
  if (task.files->ref_count() > 1) {
    RefPtr<FdTable> own = task.files->clone();
    const TaskGuard guard(task_lock);
    std::swap(task.files, own);
  }
  task.files->close_on_exec();
  RefPtr<SignalActions> own =
      process.actions->ref_count() > 1 ? copy_actions(*process.actions) : process.actions;
  const TaskGuard guard(task_lock);
  reset_handlers(*own);
  std::swap(process.actions, own);
}

/// The point of no return is behind.
void start_program(Program& program, TrapFrame& frame) {
  Task& task = current();
  Process& process = *task.process;
  unshare_for_exec();
  AddressSpace* const space = program.take_space();
  space->memory().trace().add(TraceEvent::kExec, [&] { return TraceRecord{.space = space->id(), .value = process.space->id()}; });
  leave_space(space);
  task.alternate_stack = {};
  task.robust_list = 0;
  forget_sequences(task);
  task.set_child_tid = task.clear_child_tid = 0;
  task.restart = {};
  task.shares_space = false;
  task.fs_base = task.gs_base = 0;
  task.load_bases();
  task.reset_fpu();
  program.set_registers(frame);
  {
    const TaskGuard guard(task_lock);
    program.set_command(task.command);
    const Credentials &before = task.credentials->value, &after = program.credentials->value;
    if (before.euid != after.euid || before.egid != after.egid) {
      task.parent_death_signal = 0;
      process.dumpable = 0;
    } else {
      process.dumpable = 1;
    }
    std::swap(task.credentials, program.credentials);
    std::swap(process.executable, program.executable);
    std::swap(process.auxiliary, program.auxiliary);
    process.personality = program.personality;
    process.has_execed = true;
    process.exit_signal = SIGCHLD;
  }
}

/// While it lives, nobody begins to trace the current process: what rights a new program gives depends on who traces it.
class UndisturbedRights {
 public:
  UndisturbedRights() {
    const TaskGuard guard(task_lock);
    ++process_.execs;
  }
  ~UndisturbedRights() {
    const TaskGuard guard(task_lock);
    if (--process_.execs == 0) process_.execs_changed.wake_all();
  }
  UndisturbedRights(const UndisturbedRights&) = delete;
  UndisturbedRights& operator=(const UndisturbedRights&) = delete;

 private:
  Process& process_ = current_process();
};

Result<void> replace_program(const ProgramFile& file, UserAddr argv, UserAddr envp, TrapFrame& frame) {
  const UndisturbedRights undisturbed;
  QUIRE_TRY(Program program, load_for_current(file, argv, envp));
  QUIRE_CHECK(become_only_task());
  start_program(program, frame);
  return {};
}

SyscallResult exec_file(RefPtr<File> file, std::string_view path, UserAddr argv, UserAddr envp,
                        TrapFrame& frame) {
  QUIRE_TRY(const ProgramFile resolved, resolve_program(std::move(file), path));
  const Pid old_tid = current().tid;
  QUIRE_CHECK(replace_program(resolved, argv, envp, frame));
  report_exec(old_tid);
  return 0;
}

/// What execveat's path and descriptor mean together, as a path. Errors: EBADF, ENOENT, EINVAL.
Result<std::string> executable_path(int dirfd, const std::string& path, std::uint32_t flags) {
  if ((flags & ~static_cast<std::uint32_t>(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0)
    return fail(Errno::kInval);
  if (path.empty() && (flags & AT_EMPTY_PATH) == 0) return fail(Errno::kNoEnt);
  if (path.find('/') == 0 || (dirfd == AT_FDCWD && !path.empty())) return path;
  if (dirfd == AT_FDCWD) return fail(Errno::kAcces);
  QUIRE_TRY(const RefPtr<File> directory, current_files().get(dirfd));
  if (!directory->dentry) return fail(Errno::kAcces);
  const std::string base = path_of(*directory->dentry);
  return path.empty() ? base : base + "/" + path;
}

}  // namespace

SyscallResult sys_execve(const SyscallArgs& args) {
  QUIRE_TRY(const std::string path, copy_string_from_user(address_argument(args, 0), kLongestPath));
  QUIRE_TRY(RefPtr<File> file, open_executable(path));
  return exec_file(std::move(file), path, address_argument(args, 1), address_argument(args, 2),
                   args.frame);
}

SyscallResult sys_execveat(const SyscallArgs& args) {
  const Result<std::string> name = copy_string_from_user(address_argument(args, 1), kLongestPath);
  if (!name) return fail(name.error());
  QUIRE_TRY(const std::string path,
            executable_path(int_argument(args, 0), *name, uint_argument(args, 4)));
  QUIRE_TRY(RefPtr<File> file, open_executable(path));
  return exec_file(std::move(file), path, address_argument(args, 2), address_argument(args, 3),
                   args.frame);
}

}  // namespace quire::kernel
