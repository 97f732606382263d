// A queue of bytes in frames of the kernel's, taken when bytes come and freed when they
// have gone: a pipe nobody wrote to costs nothing.
//
// Life cycle: part of a pipe or a socket; its owner serialises it. Bytes are copied by callbacks, so that they
// may go straight to and from user memory. It knows no limit: the owner does. One empty piece is
// kept for the next bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "quire/base/errno.h"

namespace quire::kernel {

class ByteQueue {
 public:
  ByteQueue() = default;
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;
  ~ByteQueue() { clear(); }

  [[nodiscard]] std::size_t size() const { return size_; }

  /// Appends `n` bytes that copy(std::byte* to, std::size_t) provides piece by piece. Returns how
  /// many were appended before something failed. Errors: if none were: ENOMEM or what `copy`
  /// answered.
  template <typename Copy>
  Result<std::size_t> append(std::size_t n, Copy copy) {
    return append_some(n, [&copy](std::byte* to, std::size_t room) -> Result<std::size_t> {
      QUIRE_CHECK(copy(to, room));
      return room;
    });
  }

  /// Takes up to `n` bytes, given to copy(const std::byte* from, std::size_t) piece by piece.
  /// Returns how many. Errors: as append().
  template <typename Copy>
  Result<std::size_t> take(std::size_t n, Copy copy) {
    return take_some(n, [&copy](const std::byte* from, std::size_t part) -> Result<std::size_t> {
      QUIRE_CHECK(copy(from, part));
      return part;
    });
  }

  /// Appends what fill(std::byte* to, std::size_t room), which returns how many bytes it put there, provides: up to `n` bytes, and no more
  /// once it gave less than it might. Memory is had before bytes are asked for. Errors: as append().
  template <typename Fill>
  Result<std::size_t> append_some(std::size_t n, Fill fill) {
    std::size_t done = 0;
    while (done < n) {
      if (last_ == nullptr || last_->end == Piece::kCapacity) {
        if (!add_piece()) return stop(done, Errno::kNoMem);
      }
      const std::size_t room = std::min(n - done, Piece::kCapacity - last_->end);
      const Result<std::size_t> got = fill(last_->data + last_->end, room);
      if (!got) return stop(done, got.error());
      last_->end += static_cast<std::uint32_t>(*got);
      size_ += *got;
      done += *got;
      if (*got < room) break;
    }
    return done;
  }
  /// Takes up to `n` bytes as far as drain(const std::byte* from, std::size_t), which returns how many it took, goes. Errors: as take().
  template <typename Drain>
  Result<std::size_t> take_some(std::size_t n, Drain drain) {
    std::size_t done = 0;
    n = std::min(n, size_);
    while (done < n) {
      const std::size_t part = std::min<std::size_t>(n - done, first_->end - first_->begin);
      const Result<std::size_t> taken = drain(static_cast<const std::byte*>(first_->data) + first_->begin, part);
      if (!taken) return stop(done, taken.error());
      first_->begin += static_cast<std::uint32_t>(*taken);
      size_ -= *taken;
      done += *taken;
      if (first_->begin == first_->end) drop_first_piece();
      if (*taken < part) break;
    }
    return done;
  }

  /// As take(), but the bytes stay.
  template <typename Copy>
  Result<std::size_t> peek(std::size_t n, Copy copy) const {
    std::size_t done = 0;
    n = std::min(n, size_);
    for (const Piece* piece = first_; done < n; piece = piece->next) {
      const std::size_t part = std::min<std::size_t>(n - done, piece->end - piece->begin);
      if (part == 0) continue;
      if (auto copied = copy(piece->data + piece->begin, part); !copied) return stop(done, copied.error());
      done += part;
    }
    return done;
  }
  /// Forgets the last `n` bytes, of an append() that turned out too short. Pre: there are as many.
  void drop_last(std::size_t n);

  void clear();

 private:
  /// Fills a frame.
  struct Piece {
    static constexpr std::size_t kCapacity = 4096 - sizeof(void*) - 2 * sizeof(std::uint32_t);
    Piece* next = nullptr;
    std::uint32_t begin = 0, end = 0;
    std::byte data[kCapacity];
  };
  static_assert(sizeof(Piece) == 4096);

  static Result<std::size_t> stop(std::size_t done, Errno error) {
    if (done != 0) return done;
    return fail(error);
  }
  [[nodiscard]] bool add_piece();
  void drop_first_piece();

  Piece* first_ = nullptr;
  Piece* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace quire::kernel
