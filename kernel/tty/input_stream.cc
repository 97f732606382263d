#include "tty/input_stream.h"

#include <algorithm>

namespace quire::kernel {

FrameReader::Piece FrameReader::next(std::string_view raw) {
  Piece piece;
  while (left_ == 0 && !ended_ && piece.consumed < raw.size()) {
    header_ |= static_cast<std::uint32_t>(static_cast<unsigned char>(raw[piece.consumed++]))
               << (8 * header_bytes_);
    if (++header_bytes_ < sizeof header_) continue;
    left_ = header_;
    ended_ = left_ == 0;
    header_ = 0;
    header_bytes_ = 0;
  }
  piece.payload = std::min<std::size_t>(left_, raw.size() - piece.consumed);
  return piece;
}

std::string_view InputStream::available() {
  if (!staging_) staging_ = std::make_unique_for_overwrite<char[]>(kStaging);
  for (;;) {
    const auto piece = frames_.next({staging_.get() + begin_, end_ - begin_});
    begin_ += piece.consumed;
    if (piece.payload != 0) return {staging_.get() + begin_, piece.payload};
    if (frames_.ended()) return {};
    begin_ = 0;
    end_ = port_.read_some(staging_.get(), kStaging);
    if (end_ == 0) return {};
  }
}

void InputStream::consume(std::size_t n) {
  begin_ += n;
  frames_.use(n);
}

}  // namespace quire::kernel
