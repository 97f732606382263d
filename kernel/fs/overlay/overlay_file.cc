#include "fs/overlay/overlay_file.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "fs/overlay/overlay_directory.h"
#include "mm/memory.h"

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
  // What may not be read below is found out now rather than at the first read.
  if ((flags & O_TRUNC) == 0 && lower_end_ > 0) QUIRE_CHECK(lower_file());
  return MemoryFile::open(flags);
}

Result<RefPtr<File>> OverlayFile::lower_file() {
  Guard guard(lower_lock_);
  if (!lower_file_) {
    QUIRE_TRY(lower_file_, lower_->open(O_RDONLY));
  }
  return lower_file_;
}

FileObject::Config OverlayFile::object_config() {
  FileObject::Config config = MemoryFile::object_config();
  config.leaf_class = LeafClass::kFile;
  config.source = this;
  return config;
}

void OverlayFile::note_mapped_write() {
  touch(Touch::kModify);
  on_written();
}

// A first read gets a little more than it wants; who reads on gets much.
FileSource::Cluster OverlayFile::cluster(PageIndex index) {
  constexpr std::uint64_t kAround = 16, kAhead = 64;
  const std::uint64_t end = (lower_end_ + kPageSize - 1) / kPageSize;
  if (index.raw() >= end) return {index, PageCount(1)};
  const bool reads_on = index.raw() != 0 && index.raw() == next_read_;
  const std::uint64_t first = reads_on ? index.raw() : index.raw() / kAround * kAround;
  const std::uint64_t count = std::min(reads_on ? kAhead : kAround, end - first);
  next_read_ = first + count;
  return {PageIndex(first), PageCount(count)};
}

Result<void> OverlayFile::read(PageIndex first, std::span<Frame* const> pages) {
  constexpr std::size_t kMostPieces = 64;
  const std::uint64_t begin = first.raw() * kPageSize, end = lower_end_;
  std::array<IoPiece, kMostPieces> pieces;
  std::size_t below = 0;
  for (std::size_t n = 0; n < pages.size(); ++n) {
    const std::uint64_t at = begin + n * kPageSize;
    std::byte* const page = memory().contents(*pages[n]);
    const std::uint64_t size = at < end ? std::min(kPageSize, end - at) : 0;
    std::memset(page + size, 0, kPageSize - size);
    if (size != 0) pieces.at(below++) = {.address = reinterpret_cast<std::uint64_t>(page), .size = size};
  }
  if (below == 0) return {};
  note_read(below);
  QUIRE_TRY(const RefPtr<File> file, lower_file());
  IoBuffer buffer = IoBuffer::kernel(std::span<const IoPiece>(pieces).first(below));
  for (std::uint64_t at = begin; buffer.size() > 0;) {
    QUIRE_TRY(const std::size_t n, file->read(buffer, at));
    if (n == 0) return buffer.zero_out(buffer.size());  // it became shorter behind our back
    at += n;
  }
  return {};
}

void OverlayFile::on_cut(std::uint64_t size) {
  if (size < lower_end_) lower_end_ = size;
  if (lower_end_ != 0) return;
  Guard guard(lower_lock_);
  lower_file_ = nullptr;
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
