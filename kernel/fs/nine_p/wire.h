// Writing and reading the fields of 9p messages. Neither ever touches a byte outside its buffer:
// whatever does not fit, or is not there, sets a flag that is asked once at the end. Replies come
// from outside and are believed in nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "fs/nine_p/protocol.h"

namespace quire::kernel::nine_p {

class WireWriter {
 public:
  explicit WireWriter(std::span<std::byte> buffer) : buffer_(buffer) {}
  /// Starts a message; its size is filled in by finish().
  void begin(Message type, Tag tag) {
    used_ = 0;
    overflowed_ = false;
    u32(0).u8(static_cast<std::uint8_t>(type)).u16(tag);
  }
  WireWriter& u8(std::uint8_t v) { return put(&v, sizeof v); }
  WireWriter& u16(std::uint16_t v) { return put(&v, sizeof v); }
  WireWriter& u32(std::uint32_t v) { return put(&v, sizeof v); }
  WireWriter& u64(std::uint64_t v) { return put(&v, sizeof v); }
  WireWriter& string(std::string_view s) {
    if (s.size() > 0xffff) overflowed_ = true;
    return u16(static_cast<std::uint16_t>(s.size())).put(s.data(), s.size());
  }
  /// Room for `n` bytes that the caller fills; null if there is none.
  std::byte* reserve(std::size_t n) {
    if (n > buffer_.size() - used_) {
      overflowed_ = true;
      return nullptr;
    }
    std::byte* at = buffer_.data() + used_;
    used_ += n;
    return at;
  }
  [[nodiscard]] bool finish() {
    const auto size = static_cast<std::uint32_t>(used_);
    if (!overflowed_) std::memcpy(buffer_.data(), &size, sizeof size);
    return !overflowed_;
  }
  [[nodiscard]] std::span<const std::byte> message() const { return buffer_.first(used_); }

 private:
  WireWriter& put(const void* from, std::size_t n) {
    if (std::byte* at = reserve(n)) std::memcpy(at, from, n);
    return *this;
  }

  std::span<std::byte> buffer_;
  std::size_t used_ = 0;
  bool overflowed_ = false;
};

class WireReader {
 public:
  WireReader() = default;
  explicit WireReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint8_t u8() { return get<std::uint8_t>(); }
  std::uint16_t u16() { return get<std::uint16_t>(); }
  std::uint32_t u32() { return get<std::uint32_t>(); }
  std::uint64_t u64() { return get<std::uint64_t>(); }
  std::string_view string() {
    const std::span<const std::byte> s = bytes(u16());
    return {reinterpret_cast<const char*>(s.data()), s.size()};
  }
  Qid qid() { return {.type = u8(), .version = u32(), .path = u64()}; }
  /// The next `n` bytes; none if there are fewer.
  std::span<const std::byte> bytes(std::size_t n) {
    if (n > bytes_.size()) {
      is_short_ = true;
      bytes_ = {};
      return {};
    }
    const auto result = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return result;
  }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  /// Whether everything asked for was there.
  [[nodiscard]] bool ok() const { return !is_short_; }

 private:
  template <typename T>
  T get() {
    T value{};
    const std::span<const std::byte> from = bytes(sizeof value);
    if (!from.empty()) std::memcpy(&value, from.data(), sizeof value);
    return value;
  }

  std::span<const std::byte> bytes_;
  bool is_short_ = false;
};

}  // namespace quire::kernel::nine_p
