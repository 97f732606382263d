#include "lib/format.h"

#include <algorithm>

namespace quire::kernel {
namespace {

char* write_text(char* to, char* end, std::string_view text) {
  const std::size_t n = std::min(text.size(), static_cast<std::size_t>(end - to));
  return std::copy_n(text.data(), n, to);
}

template <typename Integer>
char* write_number(char* to, char* end, Integer value, int base) {
  std::array<char, 24> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value, base);
  return write_text(to, end, {digits.data(), result.ptr});
}

}  // namespace

char* FormatArgument::write(char* to, char* end, bool hexadecimal) const {
  switch (kind_) {
    case Kind::kText: return write_text(to, end, text_);
    case Kind::kCharacter: {
      const char c = static_cast<char>(number_);
      return write_text(to, end, {&c, 1});
    }
    case Kind::kSigned:
      if (!hexadecimal) return write_number(to, end, static_cast<std::int64_t>(number_), 10);
      [[fallthrough]];
    case Kind::kUnsigned: return write_number(to, end, number_, hexadecimal ? 16 : 10);
    case Kind::kAddress: return write_number(write_text(to, end, "0x"), end, number_, 16);
  }
  return to;
}

std::string_view format_to(std::span<char> buffer, std::string_view format,
                           std::span<const FormatArgument> arguments) {
  constexpr std::string_view kPlain = "{}", kHexadecimal = "{:x}";
  char* to = buffer.data();
  char* const end = to + buffer.size();
  auto next = arguments.begin();
  while (!format.empty()) {
    const bool plain = format.starts_with(kPlain);
    if ((plain || format.starts_with(kHexadecimal)) && next != arguments.end()) {
      to = (next++)->write(to, end, !plain);
      format.remove_prefix(plain ? kPlain.size() : kHexadecimal.size());
      continue;
    }
    to = write_text(to, end, format.substr(0, 1));
    format.remove_prefix(1);
  }
  return {buffer.data(), to};
}

}  // namespace quire::kernel
