// What comes through quire.stdin: frames taken apart into one stream of bytes with an end
// (docs/decisions/0001-guest-contract.md).
//
// Life cycle: one per port, for ever. Bytes are read from the port when somebody looks for them, at
// most kStaging ahead, so the host feels a slow reader. No lock of its own: its owner serialises
// it. It does not sleep; the port's `readers` queue tells of more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "drivers/console_port.h"

namespace quire::kernel {

/// Takes frames apart: a 32-bit little-endian length, then that many bytes; length 0 is the end.
/// Pure.
class FrameReader {
 public:
  struct Piece {
    std::size_t consumed = 0;  ///< raw bytes this piece took, its payload not included
    std::size_t payload = 0;   ///< payload bytes that follow them in `raw`
  };
  /// The next piece of payload in `raw`. Consumes header bytes as far as they are there.
  Piece next(std::string_view raw);
  /// `n` bytes of the payload were used.
  void use(std::size_t n) { left_ -= static_cast<std::uint32_t>(n); }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  std::uint32_t left_ = 0;  ///< of the present frame
  std::uint32_t header_ = 0;
  unsigned header_bytes_ = 0;
  bool ended_ = false;
};

class InputStream {
 public:
  explicit InputStream(ConsolePort& port) : port_(port) {}
  /// Bytes there are now: empty means none yet, or the end if ended().
  [[nodiscard]] std::string_view available();
  void consume(std::size_t n);
  [[nodiscard]] bool ended() const { return frames_.ended(); }
  [[nodiscard]] WaitQueue& readers() { return port_.readers; }

 private:
  static constexpr std::size_t kStaging = 16384;

  ConsolePort& port_;
  FrameReader frames_;
  std::unique_ptr<char[]> staging_;  ///< made at the first use
  std::size_t begin_ = 0, end_ = 0;  ///< raw bytes in staging_
};

}  // namespace quire::kernel
