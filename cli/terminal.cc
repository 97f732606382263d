#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>

#include "message.h"

namespace quire::cli {
namespace {

termios original;
volatile std::sig_atomic_t must_restore = 0;

void restore_and_die(int signal) {
  if (must_restore != 0) tcsetattr(STDIN_FILENO, TCSANOW, &original);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

std::string Terminal::standard_terminals() {
  std::string which;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (isatty(fd) != 0) which += static_cast<char>('0' + fd);
  }
  return which;
}

void Terminal::enter() {
  if (raw_ || !in_foreground() || tcgetattr(STDIN_FILENO, &original) != 0) return;
  termios raw = original;
  cfmakeraw(&raw);
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
    std::signal(signal, restore_and_die);
  must_restore = 1;
  // Keys typed ahead are for the program: not flushed.
  if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) return;
  raw_ = true;
  set_line_end(LineEnd::kCarriageReturnNewline);
}

void Terminal::leave() {
  if (!raw_) return;
  // From the background this would stop us, but the terminal is in the mode we left it in.
  sigset_t background, previous;
  sigemptyset(&background);
  sigaddset(&background, SIGTTOU);
  sigprocmask(SIG_BLOCK, &background, &previous);
  tcsetattr(STDIN_FILENO, TCSANOW, &original);
  sigprocmask(SIG_SETMASK, &previous, nullptr);
  must_restore = 0;
  raw_ = false;
  set_line_end(LineEnd::kNewline);
}

bool Terminal::in_foreground() {
  const pid_t group = tcgetpgrp(STDIN_FILENO);
  return group < 0 || group == getpgrp();
}

std::optional<WindowSize> Terminal::window_size() {
  winsize size{};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) return WindowSize{size.ws_row, size.ws_col};
  }
  return std::nullopt;
}

}  // namespace quire::cli
