// Process 1: starts the program, reaps what is orphaned, and when the program has ended takes the
// machine down (docs/decisions/0003-kernel-structure.md, "End").
#include <optional>

#include "arch/panic.h"
#include "boot/launch.h"
#include "drivers/console_port.h"
#include "ipc/shared_memory.h"
#include "lib/log.h"
#include "mm/memory.h"
#include "quire/audit/audit.h"
#include "sched/wait.h"
#include "task/control.h"
#include "task/exit.h"
#include "task/first_program.h"
#include "task/load.h"
#include "task/signals.h"
#include "task/statistics.h"
#include "time/clock.h"
#include "vdso/vdso.h"

namespace quire::kernel {

namespace {

/// A process that does not die of SIGKILL hangs in the kernel; the machine then ends without it.
constexpr std::uint64_t kPatienceNs = 10'000'000'000;

/// Reaps one zombie. Returns its pid and status, if there was one.
struct Reaped {
  Pid pid;
  int status;
};
std::optional<Reaped> reap_one() {
  RefPtr<Process> gone;
  const TaskGuard guard(task_lock);
  for (Process& child : tree().init->children) {
    if (child.state != Process::State::kZombie) continue;
    const Reaped reaped{child.pid, child.end_status};
    gone = reap_locked(child);
    return reaped;
  }
  return std::nullopt;
}

/// Reaps until `until(reaped)` says so, or the deadline passes (false).
template <typename Until>
bool reap(Until until, Deadline deadline) {
  Sleeper sleeper;
  sleeper.add(tree().init->child_events);
  for (;;) {
    while (const std::optional<Reaped> reaped = reap_one()) {
      if (until(*reaped)) return true;
    }
    if (sleeper.sleep(Interruptible::kNo, deadline) == WaitResult::kTimedOut) return false;
  }
}

bool is_alone() {
  const TaskGuard guard(task_lock);
  return tree().task_count() == 1 && tree().init->children.empty();
}

/// Ends everything but process 1. Returns false if something does not end in time.
bool end_all() {
  {
    const TaskGuard guard(task_lock);
    tree().for_each_process([](Process& process) {
      if (!process.kernel_made) end_process_locked(process, SIGKILL);
    });
  }
  const Deadline deadline = monotonic_ns() + kPatienceNs;
  return (is_alone() || reap([](const Reaped&) { return is_alone(); }, deadline)) &&
         wait_for_last_task(deadline);
}

/// Looks for anything that the programs left behind. Returns whether all is well; else the findings
/// have been sent, and the result. Pre: no other task is left, so that nothing changes meanwhile.
bool audit_is_clean() {
  Audit audit(memory());
  audit.run();
  audit.check_empty();
  log(LogLevel::kInfo, "audit: {} tables and {} leaves seen, {} findings", audit.tables_seen(),
      audit.leaves_seen(), audit.total());
  if (audit.clean()) return true;
  for (const AuditFinding& finding : audit.findings()) {
    send_control_line("note audit: {}: {} (subject {:x}, stored {}, counted {})", finding.invariant,
                      finding.message, finding.subject, finding.stored, finding.counted);
  }
  send_control_line("error the kernel's audit found {} faults at the end", audit.total());
  return false;
}

void report_end(int status) {
  if (const int signal = signal_of_status(status); signal != 0) {
    send_control_line("killed {}", signal);
  } else {
    send_control_line("exit {}", status >> 8);
  }
}

void report_failure(StartFailure failure) {
  switch (failure) {
    case StartFailure::kNotFound:
      send_control("notfound");
      break;
    case StartFailure::kNotExecutable:
      send_control("notexec");
      break;
    case StartFailure::kFailed:
      send_control("error the program cannot be loaded; try a larger -m");
      break;
  }
}

void report_lost_writes(const LostWrites& lost) {
  const char* const why = lost.error == Errno::kNoSpc ? "no space is left there" : "it was refused";
  send_control_line("note {} bytes written to mapped files could not be stored on the host: {} (error {})", lost.bytes, why,
                    static_cast<int>(lost.error));
}

/// Lets go of all that stays for the machine's life, so that the audit can tell what is left over.
void take_down() {
  Task& task = current();
  RefPtr<FdTable> files = std::move(task.files);
  RefPtr<FsContext> fs = std::move(task.fs);
  files = nullptr;
  fs = nullptr;
  drop_shared_segments();
  drop_vdso();
  if (const LostWrites lost = store_for_the_last_time(); lost.bytes != 0) report_lost_writes(lost);
  drop_file_systems();
  memory().huge().close();
}

[[noreturn]] void run_machine(void*) {
  start_load_sampling();
  const std::expected<void, StartFailure> started = start_first_program();
  int status = 0;
  if (started) {
    reap(
        [&](const Reaped& reaped) {
          status = reaped.status;
          return reaped.pid == kProgramPid;
        },
        kForever);
  }
  if (!launch().stats.empty()) send_statistics();
  const bool alone = end_all();
  if (const unsigned files = overlay_files_written(); files != 0)
    send_control_line("overlay {}", files);
  take_down();
  if (!alone) {
    send_control("error processes are left that do not end");
  } else if (audit_is_clean()) {
    if (started) {
      report_end(status);
    } else {
      report_failure(started.error());
    }
  }
  drain_console_ports();
  power_off(MachineEnd::kOk);
}

}  // namespace

void run_program() {
  std::unique_ptr<Task> init = make_init_task();
  if (!init->prepare(&run_machine, nullptr)) panic("no memory for process 1");
  start_task(std::move(init));
  exit_thread();
}

}  // namespace quire::kernel
