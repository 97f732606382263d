// The control channel to the command: lines of text (docs/decisions/0001-guest-contract.md).
#pragma once

#include <string_view>

#include "lib/format.h"

namespace quire::kernel {

/// Sends one line; adds the newline. May sleep; returns when the host has it.
void send_control(std::string_view line);

template <typename... Arguments>
void send_control_line(std::string_view format, const Arguments&... arguments) {
  std::array<char, 512> line;
  send_control(format_to(std::span<char>(line), format, arguments...));
}

/// Starts the thread that obeys the lines that come: `winsize ROWS COLS`, `signal N`. Once, after
/// the program's process exists.
void start_control_reader();

/// The process that the launch record's program runs in.
inline constexpr int kProgramPid = 2;

}  // namespace quire::kernel
