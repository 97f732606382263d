// Open files and directories of a 9p tree.
#pragma once

#include "fs/directory_file.h"
#include "fs/directory_listing.h"
#include "fs/nine_p/inode.h"

namespace quire::kernel::nine_p {

/// A regular file of a stable tree: all that are open read through the inode's one fid. Whoever reads it keeps what it got (overlay/).
class StableFile final : public File {
 public:
  explicit StableFile(RefPtr<Inode9p> opened) : file_(std::move(opened)) {}
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override;
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  RefPtr<Inode9p> file_;
};

/// A file of a shared tree: every read and write is one or more calls to the server, on a fid of
/// its own.
class OpenFile final : public File {
 public:
  OpenFile(RefPtr<Inode9p> opened, FidHandle fid)
      : file_(std::move(opened)), fid_(std::move(fid)) {}
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override;
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t offset) override;
  Result<void> truncate(std::uint64_t size) override;
  Result<void> sync() override { return file_->client().fsync(fid_.get()); }
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  RefPtr<Inode9p> file_;
  FidHandle fid_;
};

/// An open directory: listed whole when it is read from the start, so that positions are small and
/// stay good.
class OpenDirectory final : public DirectoryFile {
 public:
  explicit OpenDirectory(RefPtr<Inode9p> opened) : directory_(std::move(opened)) {}
  Result<void> read_directory(std::uint64_t& offset, DirectorySink sink, void* context) override;
  Result<void> sync() override;

 private:
  RefPtr<Inode9p> directory_;
  Mutex lock_;
  RefPtr<DirectoryListing> listing_;
  DirectoryListing::Cursor cursor_;
};

}  // namespace quire::kernel::nine_p
