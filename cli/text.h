// Small conversions between text and values: sizes, numbers, shell words, fixed choices.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quire::cli {

/// Bytes of "512M", "2G", "2GiB", "1073741824" (K, M, G, T are powers of 1024; "B" and "iB" may
/// follow). Nothing if it is no size.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// A decimal number of the whole text.
std::optional<std::int64_t> parse_integer(std::string_view text);

/// The words as one line that a POSIX shell splits into the same words.
std::string shell_line(std::span<const std::string> words);

/// Cuts off and returns the text before the first `separator`, or all of it.
std::string_view take_until(std::string_view& text, char separator);

}  // namespace quire::cli
