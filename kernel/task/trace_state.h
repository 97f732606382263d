// What a tracer has asked of one task and which stops it owes: the rules of ptrace(2) by themselves, with no task, lock or sleep.
//
// A demand is served by any stop, a notice (of an end of the group's stop) only by one of PTRACE_EVENT_STOP, and a group's stop only by
// the stop in which the task takes its part. Linux v6.12 kernel/ptrace.c, kernel/signal.c:do_jobctl_trap(), JOBCTL_*.
#pragma once

#include <cstdint>

namespace quire::kernel {

/// PTRACE_ATTACH and PTRACE_TRACEME, or PTRACE_SEIZE.
enum class TraceKind : std::uint8_t { kAttached, kSeized };
/// How a traced task goes on: PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP.
enum class TraceMode : std::uint8_t { kFree, kSystemCalls, kSteps };

class TraceState {
 public:
  explicit TraceState(TraceKind kind, std::uint32_t options = 0) : kind_(kind), options_(options) {}
  [[nodiscard]] bool is_seized() const { return kind_ == TraceKind::kSeized; }
  [[nodiscard]] std::uint32_t options() const { return options_; }
  void set_options(std::uint32_t options) { options_ = options; }
  /// Whether the tracer asked for stops at PTRACE_EVENT_`event`.
  [[nodiscard]] bool wants(unsigned event) const { return (options_ >> event & 1) != 0; }
  /// What a stop before or after a system call reports.
  [[nodiscard]] int call_code() const;
  /// What a stop at PTRACE_EVENT_`event` reports.
  [[nodiscard]] static int event_code(unsigned event);
  /// What a child begins with that is traced from birth.
  [[nodiscard]] TraceState for_child() const;

  /// A stop of the whole group by `signal` begins, or SIGCONT ends it.
  void begin_group_stop(int signal);
  void end_group_stop();
  /// PTRACE_INTERRUPT, or the first stop of one that is seized or was stopped before.
  void demand_stop() { demanded_ = true; }

  [[nodiscard]] bool owes_stop() const { return demanded_ || noticed_ || group_stop_; }
  [[nodiscard]] bool owes_group_stop() const { return group_stop_; }
  [[nodiscard]] bool has_notice() const { return noticed_; }
  /// What the stop that is owed reports, and whether it shows a siginfo.
  struct Owed {
    int code;
    bool has_info;
  };
  [[nodiscard]] Owed owed(bool group_is_stopped) const;
  /// The task stops, reporting `code`.
  enum class Part : std::uint8_t { kNone, kInGroupStop };
  void on_stop(int code, Part part);

  TraceMode mode = TraceMode::kFree;

 private:
  TraceKind kind_;
  std::uint32_t options_;
  int stop_signal_ = 0;
  bool demanded_ = false, noticed_ = false, group_stop_ = false;
};

}  // namespace quire::kernel
