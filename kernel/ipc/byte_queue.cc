#include "ipc/byte_queue.h"

#include <new>

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
