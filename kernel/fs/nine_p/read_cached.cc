// Reading a file of a stable tree: a chunk at a time from the server, from then on from memory.
#include <algorithm>
#include <cstring>

#include "fs/nine_p/inode.h"

namespace quire::kernel::nine_p {

/// Fetches the chunk with the page `index`. Small files are one chunk and come whole; whoever reads
/// on gets several chunks at once.
Result<void> Inode9p::fetch(std::uint64_t index, std::uint64_t size) {
  const std::uint64_t chunk = client().transfer_size();
  const std::uint64_t begin = index * kPageSize / chunk * chunk;
  const std::uint64_t chunks = begin != 0 && begin == next_fetch_ ? Session::kMaxTransfers : 1;
  const std::uint64_t end = std::min(begin + chunks * chunk, size);
  next_fetch_ = end;
  QUIRE_TRY(const Fid file, fid());
  std::vector<IoPiece> pieces;
  for (std::uint64_t at = begin; at < end; at += kPageSize) {
    bool fresh = false;
    PageStore::Page page = pages_.get_or_null(at / kPageSize, fresh);
    if (page == nullptr) {
      // The budget is this file's alone by now: what was read longest ago goes.
      pages_.erase_range(0, begin / kPageSize);
      page = pages_.get_or_null(at / kPageSize, fresh);
    }
    if (page == nullptr) {
      pages_.erase_range(begin / kPageSize, at / kPageSize);
      return fail(Errno::kNoMem);
    }
    pieces.push_back(
        {.address = reinterpret_cast<std::uint64_t>(page), .size = std::min(kPageSize, end - at)});
    if (end - at < kPageSize) std::memset(page + (end - at), 0, kPageSize - (end - at));
  }
  IoBuffer buffer = IoBuffer::kernel(std::span<const IoPiece>(pieces));
  Result<void> result;
  while (buffer.size() > 0) {
    const std::uint64_t at = end - buffer.size();
    const Result<std::size_t> n = client().read(file, at, buffer.size(), buffer);
    if (!n || *n == 0) {
      // Shorter than it was: the rest of what was known reads as zeros.
      result = n ? buffer.zero_out(buffer.size()) : Result<void>(fail(n.error()));
      break;
    }
  }
  if (!result) pages_.erase_range(begin / kPageSize, (end + kPageSize - 1) / kPageSize);
  return result;
}

Result<PageStore::Page> Inode9p::page(std::uint64_t index) {
  if (const PageStore::Page page = pages_.find_or_null(index)) return page;
  QUIRE_TRY(const Attributes now, attributes());
  QUIRE_CHECK(fetch(index, now.size));
  return pages_.find_or_null(index);
}

Result<std::size_t> Inode9p::read_cached(IoBuffer& buffer, std::uint64_t offset) {
  QUIRE_TRY(const Attributes now, attributes());
  fs_->cache().note_use(*this);
  Guard guard(mutex);
  std::size_t done = 0;
  while (buffer.size() > 0 && offset < now.size) {
    const Result<PageStore::Page> from = page(offset / kPageSize);
    const std::size_t n =
        std::min<std::uint64_t>({buffer.size(), kPageSize - offset % kPageSize, now.size - offset});
    const Result<void> copied =
        from ? buffer.copy_out(*from + offset % kPageSize, n) : Result<void>(fail(from.error()));
    if (!copied) {
      if (done == 0) return fail(copied.error());
      break;
    }
    offset += n;
    done += n;
  }
  return done;
}

}  // namespace quire::kernel::nine_p
