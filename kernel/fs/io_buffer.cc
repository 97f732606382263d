#include <algorithm>
#include <cstring>

#include "fs/vfs.h"
#include "mm/uaccess.h"

namespace quire::kernel {

IoBuffer IoBuffer::user(std::uint64_t address, std::size_t size) {
  IoBuffer buffer;
  buffer.address_ = address;
  buffer.piece_ = buffer.size_ = size;
  buffer.is_user_ = true;
  return buffer;
}

IoBuffer IoBuffer::of(std::span<const IoPiece> pieces) {
  IoBuffer buffer;
  buffer.rest_ = pieces;
  for (const IoPiece& piece : pieces) buffer.size_ += piece.size;
  return buffer;
}

IoBuffer IoBuffer::user(std::span<const IoPiece> pieces) {
  IoBuffer buffer = of(pieces);
  buffer.is_user_ = true;
  return buffer;
}

IoBuffer IoBuffer::kernel(std::span<const IoPiece> pieces) { return of(pieces); }

IoBuffer IoBuffer::kernel(void* address, std::size_t size) {
  IoBuffer buffer;
  buffer.address_ = reinterpret_cast<std::uint64_t>(address);
  buffer.piece_ = buffer.size_ = size;
  return buffer;
}

Result<void> IoBuffer::copy_in(void* to, std::size_t n) {
  auto* next = static_cast<std::byte*>(to);
  return advance(n, [this, &next](std::uint64_t from, std::size_t part) -> Result<void> {
    if (is_user_) {
      QUIRE_CHECK(copy_from_user(next, from, part));
    } else {
      std::memcpy(next, reinterpret_cast<const void*>(from), part);
    }
    next += part;
    return {};
  });
}

IoPiece IoBuffer::front() const {
  IoPiece piece{.address = address_, .size = piece_};
  for (std::span<const IoPiece> rest = rest_; piece.size == 0 && !rest.empty(); rest = rest.subspan(1)) piece = rest.front();
  return {.address = piece.address, .size = std::min(piece.size, size_)};
}

Result<void> IoBuffer::check_next() const {
  if (!is_user_ || size_ == 0) return {};
  const IoPiece next = front();
  if (next.size == 0) return fail(Errno::kFault);
  std::byte byte;
  return copy_from_user(&byte, next.address, sizeof byte);
}

Result<void> IoBuffer::copy_out(const void* from, std::size_t n) {
  const auto* next = static_cast<const std::byte*>(from);
  return advance(n, [this, &next](std::uint64_t to, std::size_t part) -> Result<void> {
    if (is_user_) {
      QUIRE_CHECK(copy_to_user(to, next, part));
    } else {
      std::memcpy(reinterpret_cast<void*>(to), next, part);
    }
    next += part;
    return {};
  });
}

Result<void> IoBuffer::zero_out(std::size_t n) {
  return advance(n, [this](std::uint64_t to, std::size_t part) -> Result<void> {
    if (is_user_) return clear_user(to, part);
    std::memset(reinterpret_cast<void*>(to), 0, part);
    return {};
  });
}

}  // namespace quire::kernel
