// Terminal settings as the kernel keeps them: struct termios2 of the user ABI, with tests that read
// like the rules they implement.
//
// Plain values; no locks. Speeds are stored and given back, nothing is timed by them.
#pragma once

#include <asm/termbits.h>

namespace quire::kernel {

/// Input, output, control and local modes and the control characters.
struct Termios : ::termios2 {
  /// What a terminal starts with: Linux v6.12 drivers/tty/tty_io.c:tty_std_termios, and IUTF8
  /// because the terminal on the other side is a UTF-8 one.
  static Termios standard();

  [[nodiscard]] bool input(tcflag_t mode) const { return (c_iflag & mode) != 0; }
  [[nodiscard]] bool output(tcflag_t mode) const { return (c_oflag & mode) != 0; }
  [[nodiscard]] bool local(tcflag_t mode) const { return (c_lflag & mode) != 0; }
  /// Whether `c` is the control character `index` (VINTR …). NUL means "none" there and is never
  /// one.
  [[nodiscard]] bool is_control(unsigned char c, unsigned index) const {
    return c != 0 && c_cc[index] == c;
  }
};

}  // namespace quire::kernel
