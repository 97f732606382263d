#include "fs/overlay/overlay_file.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>

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

FileSource::Cluster OverlayFile::cluster(PageIndex index) {
  return ahead_.cluster(index, lower_end_);
}

Result<void> OverlayFile::read(PageIndex first, std::span<Frame* const> pages) {
  RefPtr<File> file;
  if (first.raw() * kPageSize < lower_end_) {
    note_read(pages.size());
    QUIRE_TRY(file, lower_file());
  }
  // It may become shorter behind our back.
  return fill_pages(first, pages, lower_end_, [&file](IoBuffer& buffer, std::uint64_t at) {
    return file->read(buffer, at);
  });
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
