// The page cache: files whose pages can be read again, and how many of those the machine keeps.
//
// The pages are those of the files' objects (core, quire/object/file_object.h); here is only the
// order in which files were used. Pages that nobody uses go, of the files that were not read for
// longest first, when there are too many of them or memory runs short; then also pages that are
// mapped.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <cstring>

#include "fs/vfs.h"
#include "mm/memory.h"
#include "quire/object/file_object.h"
#include "sync/lock.h"

namespace quire::kernel {

/// A file with such pages. Leaves the cache when it ends.
class CachedFile : public boost::intrusive::list_base_hook<> {
 protected:
  CachedFile() = default;
  ~CachedFile();
  /// The object with the pages, or null if there is none yet. May be asked while the file ends.
  [[nodiscard]] virtual FileObject* cached_pages() = 0;
  /// To be called before what cached_pages() needs goes.
  void leave_cache();
  /// `pages` are about to be read. Other files may lose theirs.
  void note_read(std::uint64_t pages);

 private:
  friend class PageCache;
  bool is_listed_ = false;
};

/// Gives back memory that only holds what can be read again: pages that nobody uses, else some that
/// are mapped and used little. Returns whether there was any. Takes no lock that it would have to
/// wait for: may be called wherever memory runs out, but not under spin locks.
bool drop_file_caches();
/// Gives back the clean pages of files that nobody uses, none that is mapped. Locks as above.
void drop_unused_file_caches();

/// How much of a file to read at once: a first read gets a little more than it wants; who reads on gets much.
class ReadAhead {
 public:
  /// The pages worth reading when `index` is wanted, of a file that has data up to `end` bytes.
  FileSource::Cluster cluster(PageIndex index, std::uint64_t end) {
    constexpr std::uint64_t kAround = 16, kAhead = 64;
    const std::uint64_t end_page = (end + kPageSize - 1) / kPageSize;
    if (index.raw() >= end_page) return {index, PageCount(1)};
    const bool reads_on = index.raw() != 0 && index.raw() == next_;
    const std::uint64_t first = reads_on ? index.raw() : index.raw() / kAround * kAround;
    const std::uint64_t count = std::min(reads_on ? kAhead : kAround, end_page - first);
    next_ = first + count;
    return {PageIndex(first), PageCount(count)};
  }

 private:
  std::atomic<std::uint64_t> next_{0};  ///< index at which somebody who reads on will miss next
};

/// The bytes of consecutive pages of a file, from `first` on, as far as the file goes.
class PageBytes {
 public:
  PageBytes(PageIndex first, std::span<Frame* const> pages, std::uint64_t end) : begin_(first.raw() * kPageSize) {
    for (std::size_t n = 0; n < pages.size(); ++n) {
      const std::uint64_t at = begin_ + n * kPageSize;
      const std::uint64_t size = at < end ? std::min(kPageSize, end - at) : 0;
      if (size != 0) pieces_.at(count_++) = {.address = reinterpret_cast<std::uint64_t>(memory().contents(*pages[n])), .size = size};
    }
  }
  [[nodiscard]] std::uint64_t begin() const { return begin_; }
  [[nodiscard]] std::size_t pages() const { return count_; }
  [[nodiscard]] IoBuffer buffer() const { return IoBuffer::kernel(std::span(pieces_).first(count_)); }

 private:
  static constexpr std::size_t kMostPieces = 64;
  std::uint64_t begin_;
  std::size_t count_ = 0;
  std::array<IoPiece, kMostPieces> pieces_;
};

/// Fills pages of a file that has data up to `end` by read(buffer, offset); what lies beyond becomes zeros, also if the file ends early.
template <typename Read>
Result<void> fill_pages(PageIndex first, std::span<Frame* const> pages, std::uint64_t end, Read read) {
  const PageBytes bytes(first, pages, end);
  for (std::size_t n = 0; n < pages.size(); ++n) {
    const std::uint64_t at = bytes.begin() + n * kPageSize;
    const std::uint64_t size = at < end ? std::min(kPageSize, end - at) : 0;
    std::memset(memory().contents(*pages[n]) + size, 0, kPageSize - size);
  }
  IoBuffer buffer = bytes.buffer();
  for (std::uint64_t at = bytes.begin(); buffer.size() > 0;) {
    QUIRE_TRY(const std::size_t n, read(buffer, at));
    if (n == 0) return buffer.zero_out(buffer.size());
    at += n;
  }
  return {};
}

/// Copies what `object` has from `offset` on; get(index) says where: a held page, or null for zeros. Errors: only if nothing was copied.
template <typename Get>
Result<std::size_t> read_pages(FileObject& object, IoBuffer& buffer, std::uint64_t offset, Get get) {
  std::size_t done = 0;
  for (;;) {
    const std::uint64_t end = object.size().raw();
    if (buffer.size() == 0 || offset >= end) return done;
    const std::size_t in_page = offset % kPageSize;
    const std::size_t n = std::min<std::uint64_t>({buffer.size(), kPageSize - in_page, end - offset});
    const Result<Frame*> page = get(offset / kPageSize);
    if (!page && page.error() == Errno::kFault) return done;  // cut short meanwhile
    Result<void> copied;
    if (!page) {
      copied = fail(page.error());
    } else if (*page == nullptr) {
      copied = buffer.zero_out(n);
    } else {
      copied = buffer.copy_out(memory().contents(**page) + in_page, n);
      object.put_page(**page);
    }
    if (!copied) {
      if (done == 0) return fail(copied.error());
      return done;
    }
    offset += n;
    done += n;
  }
}

/// A page as object.page_for_read() gives it; memory that is short is made free once.
Result<Frame*> page_to_read(FileObject& object, std::uint64_t index);

}  // namespace quire::kernel
