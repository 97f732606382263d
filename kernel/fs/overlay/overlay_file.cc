#include "fs/overlay/overlay_file.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "fs/overlay/overlay_directory.h"

namespace quire::kernel {

OverlayFile::OverlayFile(RefPtr<OverlayFs> fs, std::uint32_t mode, std::uint32_t uid,
                         std::uint32_t gid)
    : OverlayNode(std::move(fs), mode, uid, gid) {
  on_written();  // an empty new file is lost with the machine, too
}

OverlayFile::OverlayFile(RefPtr<OverlayDirectory> directory, std::string_view name,
                         RefPtr<Inode> lower, RefPtr<OverlayFs> fs)
    : OverlayNode(std::move(directory), name, std::move(lower), std::move(fs)) {}

void OverlayFile::on_loaded(const Attributes& attributes) {
  lower_end_ = attributes.size;
  lower_blocks_ = attributes.blocks;
}

Result<RefPtr<File>> OverlayFile::open(std::uint32_t flags) {
  QUIRE_CHECK(ensure_loaded());
  if ((flags & O_TRUNC) == 0) {
    // What may not be read below is found out now rather than at the first read.
    Guard guard(mutex);
    if (lower_end_ > 0) QUIRE_CHECK(lower_file());
  }
  return MemoryFile::open(flags);
}

Result<RefPtr<File>> OverlayFile::lower_file() {
  if (!lower_file_) {
    QUIRE_TRY(lower_file_, lower_->open(O_RDONLY));
  }
  return lower_file_;
}

Result<void> OverlayFile::read_hole(IoBuffer& buffer, std::uint64_t offset, std::size_t n) {
  while (n > 0 && offset < lower_end_) {
    QUIRE_TRY(const RefPtr<File> file, lower_file());
    const std::size_t before = buffer.size();
    buffer.limit(std::min<std::uint64_t>(n, lower_end_ - offset));
    const Result<std::size_t> read = file->read(buffer, offset);
    buffer.limit(before - read.value_or(0));
    if (!read) return fail(read.error());
    if (*read == 0) break;  // the file below became shorter behind our back
    offset += *read;
    n -= *read;
  }
  return buffer.zero_out(n);
}

Result<void> OverlayFile::fill(std::uint64_t index, PageStore::Page page) {
  IoBuffer buffer = IoBuffer::kernel(page, kPageSize);
  return read_hole(buffer, index * kPageSize, kPageSize);
}

void OverlayFile::on_cut(std::uint64_t size) {
  lower_end_ = std::min(lower_end_, size);
  if (lower_end_ == 0) lower_file_ = nullptr;
}

void OverlayFile::on_written() {
  if (is_unlinked_ || is_counted_.exchange(true)) return;
  ++overlay().files_written;
}

void OverlayFile::on_unlinked() {
  is_unlinked_ = true;
  if (is_counted_.exchange(false)) --overlay().files_written;
}

std::uint64_t OverlayFile::blocks() const { return std::max(lower_blocks_, MemoryFile::blocks()); }

}  // namespace quire::kernel
