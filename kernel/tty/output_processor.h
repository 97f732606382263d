// The output half of the line discipline: OPOST, and the column the cursor is in, which erasing a
// tab needs.
//
// A pure state machine: bytes in, bytes out. Its owner serialises it (Terminal::lock_). Linux v6.12
// drivers/tty/n_tty.c:do_output_char().
#pragma once

#include <string>
#include <string_view>

#include "tty/termios.h"

namespace quire::kernel {

class OutputProcessor {
 public:
  /// Appends to `out` what a program's `bytes` become on the line.
  void process(const Termios& termios, std::string_view bytes, std::string& out);
  /// One byte of echo: as process(), without which it only moves the column.
  void echo(const Termios& termios, unsigned char c, std::string& out);
  /// A control character shown as ^X: two columns, not processed.
  void echo_control(unsigned char c, std::string& out);
  /// Moves the cursor back over a tab that stands `characters` columns after the line's start, or
  /// after another tab.
  enum class TabOrigin : unsigned char { kLineStart, kTab };
  void erase_tab(unsigned characters, TabOrigin origin, std::string& out);
  /// One column less, with nothing sent.
  void step_back() {
    if (column_ > 0) --column_;
  }
  /// The line being edited starts in the present column.
  void mark_line_start() { line_start_column_ = column_; }

 private:
  void process_byte(const Termios& termios, unsigned char c, std::string& out);

  unsigned column_ = 0;
  unsigned line_start_column_ = 0;
};

}  // namespace quire::kernel
