#include "session.h"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pump.h"
#include "signals.h"

namespace quire::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// How long QEMU may take to end after the guest has said goodbye and its output has been taken.
constexpr std::chrono::seconds kGoodbyeDeadline{5};
/// A second signal within this time ends the guest instead of asking its program.
constexpr std::chrono::seconds kImpatience{1};
/// How long output that was under way when the guest was killed may take.
constexpr std::chrono::seconds kDrainDeadline{1};
/// How long a reader of the output may take nothing after a signal of the caller's has killed the program.
constexpr std::chrono::seconds kStallDeadline{1};
/// How often to look whether the terminal has become ours.
constexpr std::chrono::milliseconds kForegroundCheck{200};

class Session {
 public:
  Session(Guest& guest, const SessionConfig& config)
      : guest_(guest),
        config_(config),
        output_(make_pump(guest.output, config.output)),
        errors_(make_pump(guest.errors, config.errors)) {
    if (config.input) input_.emplace(*config.input, guest.input.get());
    if (config.signals == SignalPolicy::kForward) signals_.emplace();
    if (config.on_terminal) terminal_.emplace().enter();
  }

  SessionResult run() {
    while (!finished()) {
      PollSet set;
      want(set);
      set.wait(timeout_ms());
      move(set);
      note_progress();
      check_deadlines();
    }
    return {std::move(*outcome_), log_.text()};
  }

 private:
  OutputPump make_pump(const FileDescriptor& source, int target) const {
    return config_.captured_output != nullptr ? OutputPump(source.get(), *config_.captured_output)
                                              : OutputPump(source.get(), target);
  }

  [[nodiscard]] bool finished() const {
    if (killed_ && Clock::now() >= drain_deadline_) return true;
    return outcome_ && qemu_ended_ && output_.finished() && errors_.finished();
  }

  [[nodiscard]] bool may_read_input() const { return !terminal_ || Terminal::in_foreground(); }

  void want(PollSet& set) const {
    if (input_ && !outcome_) input_->want(set, may_read_input());
    output_.want(set);
    errors_.want(set);
    if (!control_ended_) set.want(guest_.control.get(), POLLIN);
    if (!control_out_.empty()) set.want(guest_.control.get(), POLLOUT);
    if (!log_ended_) set.want(guest_.log.get(), POLLIN);
    if (!diagnostics_ended_) set.want(guest_.diagnostics.get(), POLLIN);
    if (!qemu_ended_) set.want(guest_.process.get(), POLLIN);
    if (signals_) set.want(signals_->fd(), POLLIN);
  }

  void move(const PollSet& set) {
    if (signals_ && set.got(signals_->fd()) != 0) take_signals();
    if (input_) input_->move(set);
    check_output(output_.move(set), "stdout");
    check_output(errors_.move(set), "stderr");
    if (set.got(guest_.log.get()) != 0) take_log();
    if (set.got(guest_.diagnostics.get()) != 0)
      diagnostics_ended_ =
          read_available(guest_.diagnostics.get(), diagnostics_) == ReadResult::kEnd;
    if (set.got(guest_.control.get()) != 0) take_control();
    if (!control_out_.empty() && !flush_to_socket(guest_.control.get(), control_out_))
      control_out_.pop(control_out_.size());
    if (set.got(guest_.process.get()) != 0) take_end_of_qemu();
  }

  void check_output(HostOutput::Result result, const char* name) {
    if (result == HostOutput::Result::kOk || killed_) return;
    if (result == HostOutput::Result::kClosed) {
      kill_guest({Outcome::Kind::kStopped, SIGPIPE, {}});
      drain_deadline_ = Clock::now();
    } else {
      kill_guest({Outcome::Kind::kHostFailed, 0,
                  fmt::format("writing to {}: {}", name, std::strerror(errno))});
    }
  }

  void take_log() {
    std::string bytes;
    log_ended_ = read_available(guest_.log.get(), bytes) == ReadResult::kEnd;
    log_.push(bytes);
    if (config_.verbosity < Verbosity::kVerbose) return;
    log_lines_.push(bytes);
    while (const auto line = log_lines_.next()) say("kernel: " + *line);
  }

  void take_control() {
    std::string bytes;
    control_ended_ = read_available(guest_.control.get(), bytes) == ReadResult::kEnd;
    control_lines_.push(bytes);
    while (const auto line = control_lines_.next()) take_message(parse_control(*line));
  }

  void take_message(ControlMessage message) {
    using Kind = ControlMessage::Kind;
    switch (message.kind) {
      case Kind::kStarted:
        started_ = true;
        break;
      case Kind::kOutcome:
        if (outcome_) break;
        outcome_ = std::move(message.outcome);
        goodbye_deadline_ = Clock::now() + kGoodbyeDeadline;
        break;
      case Kind::kUnknown:
        if (config_.verbosity >= Verbosity::kVerbose)
          say("the guest sent an unknown line: " + message.text);
        break;
      case Kind::kNote:
      case Kind::kOverlay:
      case Kind::kStats:
        if (config_.on_message) config_.on_message(message);
        break;
    }
  }

  void take_signals() {
    while (const auto signal = signals_->next()) {
      switch (*signal) {
        case SIGWINCH:
          send_window_size();
          break;
        case SIGTSTP:
          suspend();
          break;
        case SIGCONT:
          if (terminal_) terminal_->enter();
          send_window_size();
          break;
        default:
          forward_signal(*signal);
      }
    }
  }

  void send_window_size() {
    const auto size = Terminal::window_size();
    if (size) control_out_.push(fmt::format("winsize {} {}\n", size->rows, size->columns));
  }

  void suspend() {
    if (terminal_) terminal_->leave();
    guest_.signal(SIGSTOP);
    SignalSource::stop_self();
    guest_.signal(SIGCONT);
    if (terminal_) terminal_->enter();
  }

  void forward_signal(int signal) {
    const auto now = Clock::now();
    const bool asks_to_end = signal != SIGUSR1 && signal != SIGUSR2;
    if (asks_to_end && last_signal_ && now - *last_signal_ < kImpatience) {
      kill_guest({Outcome::Kind::kStopped, signal, {}});
      return;
    }
    if (asks_to_end) last_signal_ = now;
    control_out_.push(fmt::format("signal {}\n", signal));
  }

  void take_end_of_qemu() {
    const auto status = guest_.try_wait();
    if (!status) return;
    qemu_ended_ = true;
    take_control();  // what it said last
    take_log();
    read_available(guest_.diagnostics.get(), diagnostics_);
    if (killed_) return;
    if (WIFEXITED(*status) && WEXITSTATUS(*status) == kQemuPanicked) {
      outcome_ = Outcome{Outcome::Kind::kFailed, 0, "the guest's kernel panicked"};
    } else if (!outcome_) {
      outcome_ = Outcome{Outcome::Kind::kFailed, 0, describe_end(*status)};
    }
  }

  [[nodiscard]] std::string describe_end(int status) const {
    std::string text =
        WIFSIGNALED(status)
            ? fmt::format("QEMU was killed by signal {}", WTERMSIG(status))
            : fmt::format("QEMU ended with status {} before the program did", WEXITSTATUS(status));
    std::string detail = diagnostics_;
    while (detail.ends_with('\n')) detail.pop_back();
    if (!detail.empty()) text += ": " + detail;
    return text;
  }

  void kill_guest(Outcome outcome) {
    guest_.kill();
    killed_ = true;
    drain_deadline_ = Clock::now() + kDrainDeadline;
    outcome_ = std::move(outcome);
  }

  /// The next instant at which something happens by itself.
  [[nodiscard]] std::optional<Clock::time_point> next_deadline() const {
    std::optional<Clock::time_point> next;
    const auto consider = [&next](Clock::time_point when) {
      next = next ? std::min(*next, when) : when;
    };
    if (killed_) return drain_deadline_;
    if (config_.timeout) consider(begin_ + *config_.timeout);
    if (!started_ && !outcome_) consider(begin_ + config_.start_deadline);
    if (outcome_ && !qemu_ended_) consider(goodbye_deadline_);
    if (waits_for_reader_of_killed()) consider(last_progress_ + kStallDeadline);
    if (!may_read_input()) consider(Clock::now() + kForegroundCheck);
    return next;
  }

  /// The caller wanted the program gone, and it is; only output that nobody takes is left.
  [[nodiscard]] bool waits_for_reader_of_killed() const {
    return last_signal_ && outcome_ && outcome_->kind == Outcome::Kind::kKilled && (output_.has_backlog() || errors_.has_backlog());
  }

  void note_progress() {
    const std::uint64_t written = output_.written() + errors_.written();
    if (written == written_ && waits_for_reader_of_killed()) return;
    written_ = written;
    last_progress_ = Clock::now();
  }

  [[nodiscard]] int timeout_ms() const {
    const auto next = next_deadline();
    if (!next) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  }

  void check_deadlines() {
    if (killed_) return;
    const auto now = Clock::now();
    if (config_.timeout && now >= begin_ + *config_.timeout) {
      kill_guest({Outcome::Kind::kTimedOut, 0, {}});
    } else if (!started_ && !outcome_ && now >= begin_ + config_.start_deadline) {
      kill_guest({Outcome::Kind::kFailed, 0,
                  fmt::format("the guest did not start the program within {:.1f} s",
                              std::chrono::duration<double>(config_.start_deadline).count())});
    } else if (waits_for_reader_of_killed() && now >= last_progress_ + kStallDeadline) {
      kill_guest(*outcome_);
      drain_deadline_ = now;
    } else if (outcome_ && !qemu_ended_ && now >= goodbye_deadline_) {
      // A reader that has not taken everything yet holds the guest up; that is not the guest's
      // fault.
      if (output_.has_backlog() || errors_.has_backlog()) {
        goodbye_deadline_ = now + kGoodbyeDeadline;
      } else {
        kill_guest({Outcome::Kind::kFailed, 0,
                    "the guest did not shut down after its program had ended; its kernel's log "
                    "ends with:"});
      }
    }
  }

  Guest& guest_;
  const SessionConfig& config_;
  std::optional<SignalSource> signals_;
  std::optional<Terminal> terminal_;
  std::optional<InputPump> input_;
  OutputPump output_, errors_;
  ByteQueue control_out_;
  LineSplitter control_lines_, log_lines_;
  LogTail log_;
  std::string diagnostics_;
  bool control_ended_ = false, log_ended_ = false, diagnostics_ended_ = false, qemu_ended_ = false;
  bool started_ = false, killed_ = false;
  std::optional<Outcome> outcome_;
  std::optional<Clock::time_point> last_signal_;
  std::uint64_t written_ = 0;  ///< by both outputs, when last looked at
  Clock::time_point last_progress_ = Clock::now();
  Clock::time_point begin_ = Clock::now(), goodbye_deadline_, drain_deadline_;
};

}  // namespace

SessionResult run_session(Guest& guest, const SessionConfig& config) {
  return Session(guest, config).run();
}

}  // namespace quire::cli
