// The kernel's log: lines on the first serial port (0x3f8).
//
// Every byte costs an exit to the emulator, so nothing is written unless the launch record's `verbose` asks
// for it. Lines that come before the record is read are kept and written when it is.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/format.h"

namespace quire::kernel {

/// What `verbose` must be at least. kAlways is for panics.
enum class LogLevel : std::uint8_t { kAlways = 0, kInfo = 1, kDetail = 2, kTrace = 3 };

/// Sets what is written from now on, and writes or drops what was kept.
void set_log_level(int verbose);
[[nodiscard]] bool log_enabled(LogLevel level);
/// Writes one line; adds the newline. Any context.
void write_log_line(LogLevel level, std::string_view text);
/// Panic: no locks from here on.
void seize_log();

template <typename... Arguments>
void log(LogLevel level, std::string_view format, const Arguments&... arguments) {
  if (!log_enabled(level)) return;
  std::array<char, 240> line;
  write_log_line(level, format_to(std::span<char>(line), format, arguments...));
}

}  // namespace quire::kernel
