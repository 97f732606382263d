// Open files and directories of a 9p tree.
#pragma once

#include "fs/directory_file.h"
#include "fs/directory_listing.h"
#include "fs/nine_p/shared_contents.h"

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

/// A file of a shared tree, on a fid of its own. Every read and write is one or more calls to the
/// server; once somebody maps the file, it goes through the pages that all its open files share.
class OpenFile final : public File {
 public:
  explicit OpenFile(RefPtr<OpenFid> fid);
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override;
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t offset) override;
  Result<void> truncate(std::uint64_t size) override;
  /// Holes can be punched, as zeros.
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) override;
  Result<void> sync() override;
  Result<void> store(PageIndex first, PageCount count) override;
  Result<void> flush() override;
  Result<MemoryObject*> object_to_map(MapAccess access) override;
  [[nodiscard]] std::uint32_t direct_alignment() const override { return kSectorSize; }
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  ~OpenFile() override;
  /// The file's pages in memory, if anybody has mapped it.
  RefPtr<SharedContents> contents();
  void meet(const RefPtr<SharedContents>& contents);
  Result<std::size_t> read_directly(IoBuffer& buffer, std::uint64_t offset);
  Result<std::size_t> write_directly(IoBuffer& buffer, std::uint64_t offset);
  Result<std::size_t> write_at(IoBuffer& buffer, std::uint64_t offset);
  /// What was stored by now has been stored, and what failed since this was asked last is told.
  Result<void> told_of_errors(const Result<void>& otherwise);
  [[nodiscard]] Inode9p& file() const { return fid_->file(); }

  const RefPtr<OpenFid> fid_;
  SpinLock lock_;
  RefPtr<SharedContents> contents_;  ///< guarded by lock_; once it is there it stays
  std::uint32_t errors_seen_ = 0;    ///< guarded by the file's mutex
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
