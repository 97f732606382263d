// User memory that a transfer reads or writes directly: its pages are pinned meanwhile, so that no fault comes.
#pragma once

#include <array>
#include <span>

#include "fs/vfs.h"
#include "quire/space/hold.h"

namespace quire::kernel {

class PinnedMemory {
 public:
  /// Pins the next bytes of the caller's `buffer`, as many as fit. The buffer stays where it is. Errors: EFAULT, ENOMEM, EAGAIN: only if
  /// not even the first page can be pinned.
  Result<void> pin(IoBuffer buffer, Access access);
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The same bytes, in kernel memory.
  [[nodiscard]] IoBuffer bytes() const { return IoBuffer::kernel(std::span(pieces_).first(count_)); }
  /// The transfer has written there.
  void mark_dirty();

 private:
  static constexpr std::size_t kMostPages = 64;
  std::array<PageHold, kMostPages> pages_;
  std::array<IoPiece, kMostPages> pieces_;
  std::size_t count_ = 0, size_ = 0;
};

}  // namespace quire::kernel
