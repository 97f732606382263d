#include "task/exec_arguments.h"

#include <algorithm>
#include <cstring>

#include "quire/base/types.h"

namespace quire::kernel {

std::span<char> StringStream::room() {
  const std::uint64_t offset = size_ % kPiece;
  if (offset == 0 && size_ == pieces_.size() * kPiece)
    pieces_.push_back(std::make_unique_for_overwrite<Piece>());
  return std::span(pieces_.back()->bytes).subspan(offset);
}

void StringStream::append(std::string_view string) {
  const auto put = [&](std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> to = room();
      const std::size_t n = std::min(to.size(), bytes.size());
      std::memcpy(to.data(), bytes.data(), n);
      size_ += n;
      bytes.remove_prefix(n);
    }
  };
  put(string);
  put(std::string_view("", 1));
  ++count_;
}

Result<void> StringStream::append_from_user(UserAddr string, std::uint64_t budget) {
  const std::uint64_t limit = std::min(kLongestString, budget);
  std::uint64_t done = 0;
  // Most strings are short; a copy never crosses into a page that the string may not reach.
  std::uint64_t step = 64;
  while (done < limit) {
    const std::span<char> to = room();
    const std::uint64_t page_left = kPageSize - ((string + done) & (kPageSize - 1));
    const std::uint64_t n = std::min({to.size(), page_left, limit - done, step});
    QUIRE_CHECK(copy_from_user(to.data(), string + done, n));
    if (const void* const end = std::memchr(to.data(), '\0', n); end != nullptr) {
      size_ += static_cast<std::uint64_t>(static_cast<const char*>(end) - to.data()) + 1;
      ++count_;
      return {};
    }
    size_ += n;
    done += n;
    step = kPageSize;
  }
  return fail(Errno::kTooBig);
}

Result<void> copy_vector_from_user(StringStream& to, UserAddr vector, unsigned skipped,
                                   std::uint64_t& budget) {
  if (vector == 0) return {};
  for (std::uint64_t i = 0;; ++i) {
    QUIRE_TRY(const auto string, get_user<UserAddr>(vector + i * sizeof(UserAddr)));
    if (string == 0) return {};
    if (i < skipped) continue;
    if (budget < sizeof(UserAddr)) return fail(Errno::kTooBig);
    budget -= sizeof(UserAddr);
    const std::uint64_t before = to.size();
    QUIRE_CHECK(to.append_from_user(string, budget));
    budget -= to.size() - before;
  }
}

}  // namespace quire::kernel
