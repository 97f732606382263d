// The caller's terminal while the guest's program uses it: raw mode, window size, and the way back
// on every way out.
//
// Life cycle: at most one. enter() makes the terminal raw, leave() and the destructor restore it,
// and so does a fatal signal of this process (SIGSEGV, SIGABRT …). SIGKILL cannot be helped. In raw
// mode messages end in CR LF (message.h).
#pragma once

#include <termios.h>

#include <optional>
#include <string>

namespace quire::cli {

struct WindowSize {
  unsigned rows = 0, columns = 0;
};

class Terminal {
 public:
  /// Which of fds 0-2 are terminals, as the launch block's `tty` record says it ("012" or a part of
  /// it).
  static std::string standard_terminals();

  /// Uses the terminal on fd 0.
  Terminal() = default;
  ~Terminal() { leave(); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Raw mode. Does nothing in the background, where it would stop us; try again after SIGCONT.
  void enter();
  void leave();
  [[nodiscard]] static bool in_foreground();
  [[nodiscard]] static std::optional<WindowSize> window_size();

 private:
  bool raw_ = false;
};

}  // namespace quire::cli
