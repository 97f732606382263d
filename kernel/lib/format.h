// A small formatter for the kernel: `{}` takes the next argument, `{:x}` prints it in hexadecimal.
//
// Text goes to a fixed buffer and is cut at its end; nothing is allocated, so it works in a panic.
// Arguments are integers, characters, booleans, strings and pointers.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

namespace quire::kernel {

/// One argument, with its type erased.
class FormatArgument {
 public:
  FormatArgument(std::string_view text) : text_(text), kind_(Kind::kText) {}                 // NOLINT
  FormatArgument(const char* text) : FormatArgument(std::string_view(text)) {}               // NOLINT
  FormatArgument(char c) : number_(static_cast<std::uint64_t>(c)), kind_(Kind::kCharacter) {}  // NOLINT
  FormatArgument(bool b) : FormatArgument(b ? "true" : "false") {}                           // NOLINT
  FormatArgument(const void* p) : number_(reinterpret_cast<std::uint64_t>(p)), kind_(Kind::kAddress) {}  // NOLINT
  template <std::signed_integral T>
  FormatArgument(T value) : number_(static_cast<std::uint64_t>(static_cast<std::int64_t>(value))),  // NOLINT
                            kind_(Kind::kSigned) {}
  template <std::unsigned_integral T>
  FormatArgument(T value) : number_(value), kind_(Kind::kUnsigned) {}  // NOLINT

  /// Appends to [to, end) and returns the new end of the text.
  char* write(char* to, char* end, bool hexadecimal) const;

 private:
  enum class Kind : std::uint8_t { kText, kCharacter, kSigned, kUnsigned, kAddress };
  std::string_view text_;
  std::uint64_t number_ = 0;
  Kind kind_;
};

/// Formats into `buffer`; what does not fit is cut. Returns the text.
std::string_view format_to(std::span<char> buffer, std::string_view format,
                           std::span<const FormatArgument> arguments);

template <typename... Arguments>
std::string_view format_to(std::span<char> buffer, std::string_view format, const Arguments&... arguments) {
  const std::array<FormatArgument, sizeof...(arguments)> erased{FormatArgument(arguments)...};
  return format_to(buffer, format, std::span<const FormatArgument>(erased));
}

}  // namespace quire::kernel
