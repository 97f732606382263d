#include "task/first_program.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "arch/offsets.h"
#include "arch/trap_frame.h"
#include "boot/launch.h"
#include "lib/log.h"
#include "task/control.h"
#include "task/exit.h"
#include "task/program.h"
#include "task/random_layout.h"
#include "task/task_limits.h"
#include "task/uapi.h"
#include "time/clock.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
constexpr Pid kInitPid = 1;

ForkMode launch_fork_mode() {
  if (launch().fork == "leaf") return ForkMode::kLeaf;
  return launch().fork == "copy" ? ForkMode::kCopy : ForkMode::kTree;
}

Credentials launch_credentials() {
  const std::uint32_t uid = launch().uid, gid = launch().gid;
  return {.uid = uid,
          .euid = uid,
          .suid = uid,
          .fsuid = uid,
          .gid = gid,
          .egid = gid,
          .sgid = gid,
          .fsgid = gid,
          .groups = launch().groups,
          .capabilities = uid == 0 ? Capabilities::of_root() : Capabilities{}};
}

RefPtr<Process> make_process(Pid pid) {
  RefPtr<Process> process = make_ref<Process>();
  process->pid = pid;
  process->actions = make_ref<SignalActions>();
  std::memset(process->actions->action, 0, sizeof process->actions->action);
  process->limits = initial_limits();
  process->start_ns = monotonic_ns();
  return process;
}

/// Puts a process with its only task into the tree, as leader of a session of its own.
void publish(const RefPtr<Process>& process, Task& task, Process* parent) {
  const RefPtr<ProcessGroup> group =
      make_ref<ProcessGroup>(process->pid, make_ref<Session>(process->pid));
  const TaskGuard guard(task_lock);
  static_cast<void>(tree().allocate_id());  // 1, then 2: the numbers are known
  task.tid = process->pid;
  process->space = task.space;
  tree().add_process(*process, parent);
  static_cast<void>(tree().join_group(*process, group));
  tree().add_task(*process, task);
  if (task.space != nullptr) ++process->tasks_in_space;
}

std::string_view search_path() {
  constexpr std::string_view kKey = "PATH=";
  for (const std::string_view variable : launch().env) {
    if (variable.starts_with(kKey)) return variable.substr(kKey.size());
  }
  return kDefaultPath;
}

StartFailure failure_of(Errno error) {
  if (error == Errno::kNoEnt || error == Errno::kNotDir) return StartFailure::kNotFound;
  return error == Errno::kNoMem || error == Errno::kIo ? StartFailure::kFailed
                                                       : StartFailure::kNotExecutable;
}

/// Finds the program as execvp would: a name with a slash is a path, others are searched for; what
/// may not be executed is passed over, but remembered.
Result<ProgramFile> find_program() {
  const std::string_view name = launch().program;
  if (name.empty()) return fail(Errno::kNoEnt);
  if (name.find('/') != std::string_view::npos) {
    QUIRE_TRY(RefPtr<File> file, open_executable(name));
    return resolve_program(std::move(file), name);
  }
  Errno worst = Errno::kNoEnt;
  std::string_view path = search_path();
  for (;;) {
    const std::size_t end = path.find(':');
    const std::string_view directory = path.substr(0, end);
    const std::string candidate =
        (directory.empty() ? std::string(".") : std::string(directory)) + '/' + std::string(name);
    if (Result<RefPtr<File>> file = open_executable(candidate); file) {
      return resolve_program(std::move(*file), candidate);
    } else if (failure_of(file.error()) != StartFailure::kNotFound) {
      worst = file.error();
    }
    if (end == std::string_view::npos) return fail(worst);
    path.remove_prefix(end + 1);
  }
}

Result<Program> load_first_program(const SharedLimits& limits) {
  QUIRE_TRY(const ProgramFile file, find_program());
  ExecArguments strings;
  for (const std::string& argument : file.prefix) strings.arguments.append(argument);
  const std::vector<std::string_view>& arguments = launch().args;
  for (std::size_t i = file.prefix.empty() ? 0 : 1; i < arguments.size(); ++i)
    strings.arguments.append(arguments[i]);
  if (strings.arguments.count() == 0) strings.arguments.append(launch().program);
  for (const std::string_view variable : launch().env) strings.environment.append(variable);
  if (strings.arguments.size() + strings.environment.size() >
      argument_budget(limits.limit[RLIMIT_STACK].soft)) {
    return fail(Errno::kTooBig);
  }
  return load_program(file, strings, current_credentials(),
                      {launch_fork_mode(), launch().lends, limits, 0});
}

Result<void> start(Task& task, Program& program) {
  Task& init = current();
  program.set_command(task.command);
  task.credentials = std::move(program.credentials);
  task.process->executable = std::move(program.executable);
  task.process->auxiliary = std::move(program.auxiliary);
  task.process->exit_signal = 0;  // process 1 takes no signals
  task.process->has_execed = true;
  task.files = make_ref<FdTable>();
  task.files->limit = task.process->limits->limit[RLIMIT_NOFILE].soft;
  task.fs = init.fs->clone();
  QUIRE_CHECK(open_standard_files(*task.files));
  TrapFrame frame{};
  frame.cs = QUIRE_USER_CODE;
  frame.ss = QUIRE_USER_DATA;
  program.set_registers(frame);
  QUIRE_CHECK(task.prepare_user_return(frame));
  task.space = program.take_space();
  return {};
}

}  // namespace

std::unique_ptr<Task> make_init_task() {
  const RefPtr<Process> process = make_process(kInitPid);
  process->kernel_made = true;
  auto task = std::make_unique<Task>();
  task->process = process;
  std::memcpy(task->command, "init", sizeof "init");
  task->credentials = make_ref<SharedCredentials>(launch_credentials());
  publish(process, *task, nullptr);
  tree().init = process.get();
  return task;
}

std::expected<void, StartFailure> start_first_program() {
  randomize_va_space = launch().randomize;
  Task& init = current();
  init.files = make_ref<FdTable>();
  init.fs = initial_fs_context(launch().cwd);
  const RefPtr<Process> process = make_process(kProgramPid);
  Result<Program> program = load_first_program(*process->limits);
  if (!program) {
    log(LogLevel::kInfo, "program cannot be started: error {}", static_cast<int>(program.error()));
    return std::unexpected(failure_of(program.error()));
  }
  auto task = std::make_unique<Task>();
  task->process = process;
  if (const Result<void> ready = start(*task, *program); !ready)
    return std::unexpected(StartFailure::kFailed);
  publish(process, *task, &current_process());
  if (Terminal* const terminal = console_terminal(); terminal != nullptr) {
    terminal->attach(kProgramPid, kProgramPid);
    const TaskGuard guard(task_lock);
    process->group->session->terminal = terminal;
  }
  start_control_reader();
  send_control("started");
  start_task(std::move(task));
  return {};
}

}  // namespace quire::kernel
