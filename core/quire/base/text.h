// A bounded line of text for messages where there is no heap.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>

namespace quire {

/// Up to kSize−1 characters; what does not fit is cut.
template <std::size_t kSize>
class Text {
 public:
  Text& add(const char* text) {
    while (*text != '\0' && length_ + 1 < kSize) data_[length_++] = *text++;
    data_[length_] = '\0';
    return *this;
  }
  Text& add(std::uint64_t number, int base = 10) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits - 1, number, base);
    *end.ptr = '\0';
    return add(digits);
  }
  Text& hex(std::uint64_t number) { return add("0x").add(number, 16); }
  [[nodiscard]] const char* c_str() const { return data_; }

 private:
  char data_[kSize] = {};
  std::size_t length_ = 0;
};

}  // namespace quire
