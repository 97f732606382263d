#include "fs/memory/memory_file.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace quire::kernel {
namespace {

constexpr std::uint64_t kMaxSize = ~std::uint64_t{0} >> 1;  // Linux: MAX_LFS_FILESIZE

class OpenMemoryFile final : public File {
 public:
  explicit OpenMemoryFile(RefPtr<MemoryFile> opened) : file_(std::move(opened)) {}
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override {
    return file_->read_at(buffer, offset);
  }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t offset) override {
    const bool appends = (flags.load() & O_APPEND) != 0;
    return file_->write_at(buffer, offset,
                           appends ? MemoryFile::Where::kAtEnd : MemoryFile::Where::kAtOffset);
  }
  Result<std::int64_t> seek(std::int64_t offset, int whence) override {
    if (whence != SEEK_DATA && whence != SEEK_HOLE) return File::seek(offset, whence);
    if (offset < 0) return fail(Errno::kNxIo);
    QUIRE_TRY(position, file_->seek_extent(static_cast<std::uint64_t>(offset),
                                           whence == SEEK_DATA ? MemoryFile::Seek::kData
                                                               : MemoryFile::Seek::kHole));
    return static_cast<std::int64_t>(position);
  }
  Result<void> truncate(std::uint64_t size) override {
    AttributeChange change;
    change.size = size;
    return file_->set_attributes(change);
  }
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) override {
    return file_->allocate(mode, offset, length);
  }
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  RefPtr<MemoryFile> file_;
};

}  // namespace

MemoryFile::MemoryFile(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid,
                       std::uint32_t gid)
    : MemoryNode(std::move(fs), mode, uid, gid, 0), pages_(this->fs().budget()) {}

MemoryFile::MemoryFile(RefPtr<MemoryFs> fs)
    : MemoryNode(std::move(fs), S_IFREG), pages_(this->fs().budget()) {}

Result<RefPtr<File>> MemoryFile::open(std::uint32_t) {
  return make_ref<OpenMemoryFile>(RefPtr<MemoryFile>(this));
}

Result<void> MemoryFile::fill(std::uint64_t, PageStore::Page page) {
  std::memset(page, 0, kPageSize);
  return {};
}

Result<void> MemoryFile::read_hole(IoBuffer& buffer, std::uint64_t, std::size_t n) {
  return buffer.zero_out(n);
}

Result<std::size_t> MemoryFile::read_at(IoBuffer& buffer, std::uint64_t offset) {
  QUIRE_CHECK(ensure_loaded());
  Guard guard(mutex);
  std::size_t done = 0;
  const std::uint64_t end = size();
  while (buffer.size() > 0 && offset < end) {
    const std::size_t in_page = offset % kPageSize;
    const PageStore::Page page = pages_.find_or_null(offset / kPageSize);
    std::size_t n = std::min<std::uint64_t>(buffer.size(), end - offset);
    if (page != nullptr) {
      n = std::min(n, kPageSize - in_page);
    } else if (const std::uint64_t next = pages_.next_present(offset / kPageSize);
               next < end / kPageSize + 1) {
      n = std::min(n, next * kPageSize - offset);
    }
    const Result<void> copied =
        page != nullptr ? buffer.copy_out(page + in_page, n) : read_hole(buffer, offset, n);
    if (!copied) {
      if (done == 0) return fail(copied.error());
      break;
    }
    offset += n;
    done += n;
  }
  touch(Touch::kAccess);
  return done;
}

/// The page to write bytes [begin, begin + size) of; a fresh one is filled unless all of it is
/// about to be written.
Result<PageStore::Page> MemoryFile::page_for_write(std::uint64_t index, std::size_t begin,
                                                   std::size_t size, bool& fresh) {
  const PageStore::Page page = pages_.get_or_null(index, fresh);
  if (page == nullptr) return fail(Errno::kNoSpc);
  if (fresh && (begin != 0 || size != kPageSize)) {
    if (const auto filled = fill(index, page); !filled) {
      pages_.erase(index);
      return fail(filled.error());
    }
  }
  return page;
}

Result<void> MemoryFile::write_page(IoBuffer& buffer, std::uint64_t offset, std::size_t n) {
  bool fresh = false;
  const std::size_t in_page = offset % kPageSize;
  QUIRE_TRY(const PageStore::Page page, page_for_write(offset / kPageSize, in_page, n, fresh));
  const Result<void> copied = buffer.copy_in(page + in_page, n);
  // A page that was to be overwritten whole was not filled: what the copy did not reach is nobody's
  // data.
  if (!copied && fresh) pages_.erase(offset / kPageSize);
  return copied;
}

Result<std::size_t> MemoryFile::write_at(IoBuffer& buffer, std::uint64_t offset, Where where) {
  QUIRE_CHECK(ensure_loaded());
  QUIRE_CHECK(before_change());
  Guard guard(mutex);
  if (where == Where::kAtEnd) offset = size();
  if (buffer.size() > 0 && offset >= kMaxSize) return fail(Errno::kFBig);
  buffer.limit(std::min<std::uint64_t>(buffer.size(), kMaxSize - offset));
  std::size_t done = 0;
  while (buffer.size() > 0) {
    const std::size_t n = std::min(buffer.size(), kPageSize - offset % kPageSize);
    if (const auto written = write_page(buffer, offset, n); !written) {
      if (done == 0) return fail(written.error());
      break;
    }
    offset += n;
    done += n;
    if (offset > size()) set_size(offset);
  }
  if (done > 0) {
    drop_privileges();
    touch(Touch::kModify);
    on_written();
  }
  return done;
}

/// Makes bytes of one page zero. Pre: they are in one page or its whole.
Result<void> MemoryFile::zero_range(std::uint64_t begin, std::uint64_t end) {
  const bool lower = begin < end_of_lower_data();
  PageStore::Page page = pages_.find_or_null(begin / kPageSize);
  if (page == nullptr && !lower) return {};
  if (page == nullptr) {
    bool fresh = false;
    QUIRE_TRY(page, page_for_write(begin / kPageSize, begin % kPageSize, end - begin, fresh));
  }
  std::memset(page + begin % kPageSize, 0, end - begin);
  return {};
}

Result<void> MemoryFile::resize(std::uint64_t new_size) {
  if (new_size > kMaxSize) return fail(Errno::kFBig);
  if (new_size < size()) {
    on_cut(new_size);  // first: what is cut off needs no page of its own any more to be hidden
    const std::uint64_t tail = new_size % kPageSize;
    if (tail != 0) QUIRE_CHECK(zero_range(new_size, new_size - tail + kPageSize));
    pages_.erase_range((new_size + kPageSize - 1) / kPageSize, PageStore::kEnd);
  }
  set_size(new_size);
  drop_privileges();
  on_written();
  return {};
}

/// Makes [begin, end) a hole. Whole pages of the store go; parts of pages, and what a lower file
/// would show, become zeros.
Result<void> MemoryFile::punch(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t bare = std::max(begin, end_of_lower_data());
  const std::uint64_t first_whole = (bare + kPageSize - 1) / kPageSize,
                      last_whole = end / kPageSize;
  pages_.erase_range(first_whole, last_whole);
  for (std::uint64_t at = begin; at < end;) {
    if (at % kPageSize == 0 && at / kPageSize >= first_whole && at / kPageSize < last_whole) {
      at = last_whole * kPageSize;
      continue;
    }
    const std::uint64_t next = std::min(end, (at / kPageSize + 1) * kPageSize);
    QUIRE_CHECK(zero_range(at, next));
    at = next;
  }
  return {};
}

/// Gives every page of [begin, end) memory.
Result<void> MemoryFile::populate(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t first = begin / kPageSize, last = (end - 1) / kPageSize;
  PageBudget& budget = fs().budget();
  if (last - first >= budget.limit() - budget.used() + pages_.pages()) return fail(Errno::kNoSpc);
  for (std::uint64_t index = first; index <= last; ++index) {
    bool fresh = false;
    QUIRE_CHECK(page_for_write(index, 0, 0, fresh));
  }
  return {};
}

Result<void> MemoryFile::allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) {
  constexpr std::uint32_t kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != kPunch) return fail(Errno::kOpNotSupp);
  if (length > kMaxSize || offset > kMaxSize - length) return fail(Errno::kFBig);
  QUIRE_CHECK(ensure_loaded());
  QUIRE_CHECK(before_change());
  Guard guard(mutex);
  const std::uint64_t end = offset + length;
  if (mode == kPunch) {
    if (offset < size()) QUIRE_CHECK(punch(offset, std::min(end, size())));
  } else {
    QUIRE_CHECK(populate(offset, end));
  }
  if (mode == 0 && end > size()) set_size(end);
  touch(Touch::kModify);
  on_written();
  return {};
}

Result<std::uint64_t> MemoryFile::seek_extent(std::uint64_t offset, Seek what) {
  QUIRE_CHECK(ensure_loaded());
  Guard guard(mutex);
  const std::uint64_t end = size();
  if (offset >= end) return fail(Errno::kNxIo);
  const std::uint64_t lower_end = end_of_lower_data();
  if (what == Seek::kHole) {
    std::uint64_t hole = std::max(offset, lower_end);
    const std::uint64_t index = pages_.next_hole(hole / kPageSize);
    if (index != hole / kPageSize) hole = index * kPageSize;
    return std::min(hole, end);
  }
  if (offset < lower_end) return offset;
  const std::uint64_t index = pages_.next_present(offset / kPageSize);
  if (index >= (end + kPageSize - 1) / kPageSize) return fail(Errno::kNxIo);
  return std::max(offset, index * kPageSize);
}

}  // namespace quire::kernel
