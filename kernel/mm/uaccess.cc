#include "mm/uaccess.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "arch/layout.h"

extern "C" {
std::size_t user_copy(void* to, const void* from, std::size_t size);
std::size_t user_clear(void* to, std::size_t size);
bool user_compare_exchange(void* word, std::uint32_t* expected, std::uint32_t desired);
bool user_load(const void* word, std::uint32_t* value);
}

namespace quire::kernel {
namespace {

/// Whether all of it lies where programs may have memory.
bool in_user_space(UserAddr address, std::size_t size) { return address <= kUserTop && size <= kUserTop - address; }

void* pointer(UserAddr address) { return reinterpret_cast<void*>(address); }

Result<void> whole(std::size_t bytes_left) {
  if (bytes_left != 0) return fail(Errno::kFault);
  return {};
}

bool is_word(UserAddr address) { return (address & 3) == 0 && in_user_space(address, 4); }

}  // namespace

Result<void> copy_from_user(void* to, UserAddr from, std::size_t size) {
  if (!in_user_space(from, size)) return fail(Errno::kFault);
  return whole(user_copy(to, pointer(from), size));
}

Result<void> copy_to_user(UserAddr to, const void* from, std::size_t size) {
  if (!in_user_space(to, size)) return fail(Errno::kFault);
  return whole(user_copy(pointer(to), from, size));
}

Result<void> clear_user(UserAddr to, std::size_t size) {
  if (!in_user_space(to, size)) return fail(Errno::kFault);
  return whole(user_clear(pointer(to), size));
}

Result<std::string> copy_string_from_user(UserAddr from, std::size_t limit) {
  constexpr std::size_t kPiece = 256;
  std::string result;
  std::array<char, kPiece> piece;
  while (result.size() < limit) {
    // Pieces end at multiples of their size, so never beyond the page that holds the string's end.
    const std::size_t size = std::min<std::size_t>(kPiece - from % kPiece, limit - result.size());
    QUIRE_CHECK(copy_from_user(piece.data(), from, size));
    const void* const end = std::memchr(piece.data(), 0, size);
    if (end != nullptr) {
      result.append(piece.data(), static_cast<std::size_t>(static_cast<const char*>(end) - piece.data()));
      return result;
    }
    result.append(piece.data(), size);
    from += size;
  }
  return fail(Errno::kNameTooLong);
}

Result<std::uint32_t> user_cmpxchg32(UserAddr address, std::uint32_t expected, std::uint32_t desired) {
  if (!is_word(address) || !user_compare_exchange(pointer(address), &expected, desired)) return fail(Errno::kFault);
  return expected;
}

Result<std::uint32_t> user_load32(UserAddr address) {
  std::uint32_t value = 0;
  if (!is_word(address) || !user_load(pointer(address), &value)) return fail(Errno::kFault);
  return value;
}

}  // namespace quire::kernel
