// Character classes of the line discipline: Latin-1 above 127 as in Linux v6.12 lib/ctype.c, UTF-8
// where IUTF8 says so.
#pragma once

#include "tty/termios.h"

namespace quire::kernel {

[[nodiscard]] constexpr bool is_control_character(unsigned char c) { return c < 0x20 || c == 0x7f; }

/// What VWERASE takes for a part of a word.
[[nodiscard]] constexpr bool is_word_character(unsigned char c) {
  if (c >= 0xc0) return c != 0xd7 && c != 0xf7;
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

[[nodiscard]] constexpr unsigned char to_upper(unsigned char c) {
  return c >= 'a' && c <= 'z' ? static_cast<unsigned char>(c - 'a' + 'A') : c;
}
[[nodiscard]] constexpr unsigned char to_lower(unsigned char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<unsigned char>(c - 'A' + 'a') : c;
}

/// The second or a later byte of a UTF-8 character: takes no column and is erased with its first
/// byte.
[[nodiscard]] inline bool is_continuation(const Termios& termios, unsigned char c) {
  return termios.input(IUTF8) && (c & 0xc0) == 0x80;
}

}  // namespace quire::kernel
