#include "task/control.h"

#include <charconv>
#include <optional>
#include <string>

#include "drivers/console_port.h"
#include "sched/thread.h"
#include "sched/wait.h"
#include "sync/lock.h"
#include "task/process.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

constexpr std::string_view kPortName = "quire.control";
constexpr std::size_t kLongestLine = 256;

constinit Mutex write_lock;

/// The next number of `text`, which is taken off it.
std::optional<int> take_number(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

/// The group in the foreground of the program's terminal; without one, the program's group.
Pid group_to_signal() {
  if (Terminal* const terminal = console_terminal(); terminal != nullptr) {
    if (const Pid group = terminal->foreground_group(); group != 0) return group;
  }
  const TaskGuard guard(task_lock);
  const Process* const program = tree().find_process(kProgramPid);
  return program == nullptr ? 0 : program->group->id;
}

void obey(std::string_view line) {
  constexpr std::string_view kWindowSize = "winsize ", kSignal = "signal ";
  if (line.starts_with(kWindowSize)) {
    line.remove_prefix(kWindowSize.size());
    const auto rows = take_number(line);
    const auto columns = take_number(line);
    if (rows && columns)
      terminal_set_winsize(static_cast<std::uint16_t>(*rows), static_cast<std::uint16_t>(*columns));
  } else if (line.starts_with(kSignal)) {
    line.remove_prefix(kSignal.size());
    const auto signal = take_number(line);
    // The program may have ended while the line was under way.
    if (signal && *signal >= 1 && *signal <= kSignalCount)
      static_cast<void>(signal_group(group_to_signal(), *signal));
  }
}

class ControlReader final : public Thread {
 public:
  explicit ControlReader(ConsolePort& port) : port_(port) {}
  const char* name() const override { return "control"; }
  static void run(void* self) { static_cast<ControlReader*>(self)->read_lines(); }

 private:
  [[noreturn]] void read_lines() {
    std::string pending;
    for (;;) {
      wait_until(
          port_.readers, [this] { return port_.readable(); }, Interruptible::kNo);
      char bytes[kLongestLine];
      pending.append(bytes, port_.read_some(bytes, sizeof bytes));
      for (std::size_t end = pending.find('\n'); end != std::string::npos;
           end = pending.find('\n')) {
        obey(std::string_view(pending).substr(0, end));
        pending.erase(0, end + 1);
      }
      if (pending.size() > kLongestLine) pending.clear();
    }
  }

  ConsolePort& port_;
};

}  // namespace

void send_control(std::string_view line) {
  ConsolePort* const port = console_port(kPortName);
  if (port == nullptr) return;
  const std::string with_end = std::string(line) + '\n';
  const Guard guard(write_lock);
  port->write(with_end.data(), with_end.size());
}

void start_control_reader() {
  ConsolePort* const port = console_port(kPortName);
  if (port == nullptr) return;
  ControlReader& reader = *new ControlReader(*port);
  // Without the thread the program runs, but hears nothing of the terminal's size.
  if (reader.prepare(&ControlReader::run, &reader)) start_thread(reader);
}

}  // namespace quire::kernel
