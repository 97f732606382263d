// The argument and environment strings of an exec, on their way from the caller's memory to the new
// stack.
//
// They are copied once into the kernel, in pieces of a page, so that nothing of the caller's memory
// is needed later and nothing can change between counting and copying. A stream is the strings one
// after the other, each with its NUL, as they will lie on the stack.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "mm/uaccess.h"

namespace quire::kernel {

class StringStream {
 public:
  /// Longest string, NUL included (Linux v6.12 include/uapi/linux/binfmts.h: MAX_ARG_STRLEN).
  static constexpr std::uint64_t kLongestString = 32 * 4096;

  void append(std::string_view string);
  /// Appends a string of the current program's. Errors: EFAULT, E2BIG (longer than kLongestString
  /// or than what is left of `budget`).
  Result<void> append_from_user(UserAddr string, std::uint64_t budget);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }

  /// Calls write(bytes) for all pieces, in order, until one fails.
  template <typename Write>
  Result<void> for_each_piece(Write write) const {
    std::uint64_t left = size_;
    for (const auto& piece : pieces_) {
      const std::uint64_t used = left < kPiece ? left : kPiece;
      QUIRE_CHECK(write(std::as_bytes(std::span(piece->bytes, used))));
      left -= used;
    }
    return {};
  }
  /// Calls visit(offset) with where each string begins, until one fails.
  template <typename Visit>
  Result<void> for_each_string(Visit visit) const {
    bool at_start = true;
    for (std::uint64_t at = 0; at < size_; ++at) {
      if (at_start) QUIRE_CHECK(visit(at));
      at_start = pieces_[at / kPiece]->bytes[at % kPiece] == '\0';
    }
    return {};
  }

 private:
  static constexpr std::uint64_t kPiece = 2048;
  struct Piece {
    char bytes[kPiece];
  };
  std::span<char> room();

  std::vector<std::unique_ptr<Piece>> pieces_;
  std::uint64_t size_ = 0, count_ = 0;
};

/// What a new program gets to read.
struct ExecArguments {
  StringStream arguments, environment;
};

/// Copies a NULL-terminated vector of strings into `to`, but for the first `skipped`. `budget` is
/// lowered by what strings and pointers take. Errors: EFAULT, E2BIG.
Result<void> copy_vector_from_user(StringStream& to, UserAddr vector, unsigned skipped,
                                   std::uint64_t& budget);

}  // namespace quire::kernel
