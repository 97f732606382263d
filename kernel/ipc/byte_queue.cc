#include "ipc/byte_queue.h"

#include <new>
#include <utility>

#include "mm/frames.h"

namespace quire::kernel {

bool ByteQueue::add_piece() {
  std::byte* const frame = allocate_spare_frame();
  if (frame == nullptr) return false;
  Piece* const piece = new (frame) Piece;
  (last_ == nullptr ? first_ : last_->next) = piece;
  last_ = piece;
  return true;
}

void ByteQueue::drop_first_piece() {
  Piece* const piece = first_;
  if (piece == last_) {  // the kept one
    piece->begin = piece->end = 0;
    return;
  }
  first_ = piece->next;
  free_frame(reinterpret_cast<std::byte*>(piece));
}

void ByteQueue::drop_last(std::size_t n) {
  std::size_t kept = size_ - n;
  size_ = kept;
  Piece* piece = first_;
  while (piece != nullptr) {
    const std::size_t part = std::min<std::size_t>(kept, piece->end - piece->begin);
    piece->end = piece->begin + static_cast<std::uint32_t>(part);
    kept -= part;
    if (kept == 0) break;
    piece = piece->next;
  }
  if (piece == nullptr) return;
  last_ = piece;
  for (Piece* rest = std::exchange(piece->next, nullptr); rest != nullptr;) {
    Piece* const next = rest->next;
    free_frame(reinterpret_cast<std::byte*>(rest));
    rest = next;
  }
}

void ByteQueue::clear() {
  while (first_ != nullptr) {
    Piece* const next = first_->next;
    free_frame(reinterpret_cast<std::byte*>(first_));
    first_ = next;
  }
  last_ = nullptr;
  size_ = 0;
}

}  // namespace quire::kernel
