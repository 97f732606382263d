// Text with columns, put together in a string: what Linux's seq_printf() formats need.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace quire::kernel {

class TextBuilder {
 public:
  explicit TextBuilder(std::string& out) : out_(out) {}

  TextBuilder& text(std::string_view s) {
    out_.append(s);
    return *this;
  }
  /// Left-justified in `width` columns.
  TextBuilder& left(std::string_view s, std::size_t width) {
    out_.append(s);
    if (s.size() < width) out_.append(width - s.size(), ' ');
    return *this;
  }
  template <std::integral T>
  TextBuilder& number(T value) {
    return pad(value, 10, 0, ' ');
  }
  /// Right-justified, filled with blanks (%8lu) or zeros (%08lx).
  template <std::integral T>
  TextBuilder& right(T value, std::size_t width) {
    return pad(value, 10, width, ' ');
  }
  template <std::integral T>
  TextBuilder& zero_filled(T value, std::size_t width) {
    return pad(value, 10, width, '0');
  }
  TextBuilder& hex(std::uint64_t value, std::size_t width = 0) {
    return pad(value, 16, width, '0');
  }
  TextBuilder& octal(std::uint64_t value, std::size_t width) { return pad(value, 8, width, '0'); }
  /// "Name:" and a number of kilobytes in the columns /proc/meminfo and /proc/PID/status have.
  TextBuilder& kilobytes(std::string_view name, std::size_t name_width, std::uint64_t kb) {
    return left(name, name_width).right(kb, 8).text(" kB\n");
  }
  /// Seconds with two digits, as in /proc/uptime and /proc/loadavg; the argument is in hundredths.
  TextBuilder& hundredths(std::uint64_t value) {
    return number(value / 100).text(".").zero_filled(value % 100, 2);
  }
  /// A name as maps shows it: what would end the line is written \ooo (Linux v6.12
  /// fs/seq_file.c:mangle_path()).
  TextBuilder& escaped(std::string_view name, std::string_view special) {
    for (const char c : name) {
      if (special.find(c) == std::string_view::npos) {
        out_.push_back(c);
      } else {
        text("\\").octal(static_cast<unsigned char>(c), 3);
      }
    }
    return *this;
  }

 private:
  template <std::integral T>
  TextBuilder& pad(T value, int base, std::size_t width, char fill) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
    const auto length = static_cast<std::size_t>(end - digits);
    if (length < width) out_.append(width - length, fill);
    out_.append(digits, end);
    return *this;
  }
  std::string& out_;
};

}  // namespace quire::kernel
