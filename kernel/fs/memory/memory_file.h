// A regular file in memory, and its open form.
//
// Life cycle: as any inode; the contents go when the last name and the last open file are gone.
// Contents and size are guarded by the inode's mutex, which is held while bytes are copied (that
// may sleep for a page fault). Bytes of the last page beyond the size are zero. Overlay files
// (fs/overlay/) differ only in what a hole shows: see fill() and read_hole().
#pragma once

#include "fs/memory/node.h"

namespace quire::kernel {

class MemoryFile : public MemoryNode {
 public:
  MemoryFile(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid);

  Result<RefPtr<File>> open(std::uint32_t flags) override;

  /// Errors: EFAULT if nothing could be copied; what a lower file reports.
  Result<std::size_t> read_at(IoBuffer& buffer, std::uint64_t offset);
  enum class Where : std::uint8_t { kAtOffset, kAtEnd };
  /// Errors: EFBIG, ENOSPC, EFAULT: only if nothing could be written.
  Result<std::size_t> write_at(IoBuffer& buffer, std::uint64_t offset, Where where);
  /// fallocate(2) with its mode. Errors: EOPNOTSUPP, EFBIG, ENOSPC.
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length);
  /// The start of the next data (`hole` kNo) or hole at or after `offset`, at most the size.
  /// Errors: ENXIO beyond the end.
  enum class Seek : std::uint8_t { kData, kHole };
  Result<std::uint64_t> seek_extent(std::uint64_t offset, Seek what);

 protected:
  /// A file whose attributes come by load().
  explicit MemoryFile(RefPtr<MemoryFs> fs);

  Result<void> resize(std::uint64_t size) override;
  [[nodiscard]] std::uint64_t blocks() const override { return pages_.pages() * (kPageSize / 512); }

  /// Sets a fresh page to what the hole at that index showed. Pre: the mutex is held.
  virtual Result<void> fill(std::uint64_t index, PageStore::Page page);
  /// Copies what the hole at `offset` shows; `n` bytes, at none of which there is a page. Pre: the
  /// mutex is held.
  virtual Result<void> read_hole(IoBuffer& buffer, std::uint64_t offset, std::size_t n);
  /// The first offset at or after `offset` where a hole of the store is a hole of the file.
  [[nodiscard]] virtual std::uint64_t end_of_lower_data() const { return 0; }
  /// The contents from `size` on are cut off. Pre: the mutex is held.
  virtual void on_cut(std::uint64_t /*size*/) {}
  /// The contents have been written to.
  virtual void on_written() {}

 private:
  Result<PageStore::Page> page_for_write(std::uint64_t index, std::size_t begin, std::size_t size,
                                         bool& fresh);
  Result<void> write_page(IoBuffer& buffer, std::uint64_t offset, std::size_t n);
  Result<void> zero_range(std::uint64_t begin, std::uint64_t end);
  Result<void> punch(std::uint64_t begin, std::uint64_t end);
  Result<void> populate(std::uint64_t begin, std::uint64_t end);

  PageStore pages_;
};

}  // namespace quire::kernel
