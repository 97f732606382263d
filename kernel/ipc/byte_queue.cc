#include "ipc/byte_queue.h"

namespace quire::kernel {

bool ByteQueue::add_piece() {
  Piece* const piece = new (std::nothrow) Piece;
  if (piece == nullptr) return false;
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
  delete piece;
}

void ByteQueue::clear() {
  while (first_ != nullptr) {
    Piece* const next = first_->next;
    delete first_;
    first_ = next;
  }
  last_ = nullptr;
  size_ = 0;
}

}  // namespace quire::kernel
