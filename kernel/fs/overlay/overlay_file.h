// A regular file of the overlay.
//
// Its pages are those of one object: what was written is owned, everything else up to `lower_end_`
// is a copy of the file below, kept in the page cache, and beyond that zeros.
#pragma once

#include "fs/memory/memory_file.h"
#include "fs/overlay/overlay_node.h"
#include "fs/page_cache.h"

namespace quire::kernel {

class OverlayFile final : public OverlayNode<MemoryFile>, private CachedFile, private FileSource {
 public:
  OverlayFile(RefPtr<OverlayFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid);
  OverlayFile(RefPtr<OverlayDirectory> directory, std::string_view name, RefPtr<Inode> lower,
              RefPtr<OverlayFs> fs);

  ~OverlayFile() override { leave_cache(); }

  /// Errors: also those of opening the file below.
  Result<RefPtr<File>> open(std::uint32_t flags) override;
  /// As of the disk that the file below is on.
  [[nodiscard]] std::uint32_t direct_alignment() const override { return kSectorSize; }

 protected:
  void on_loaded(const Attributes& attributes) override;
  FileObject::Config object_config() override;
  FileObject* cached_pages() override { return object_or_null(); }
  [[nodiscard]] std::uint64_t end_of_lower_data() override { return lower_end_; }
  void on_cut(std::uint64_t size) override;
  void on_written() override;
  void on_unlinked() override;
  [[nodiscard]] std::uint64_t blocks() const override;

 private:
  Cluster cluster(PageIndex index) override;
  Result<void> read(PageIndex first, std::span<Frame* const> pages) override;
  void note_mapped_write() override;
  /// The file below, open for reading. Takes lower_lock_.
  Result<RefPtr<File>> lower_file();

  Mutex lower_lock_;  ///< guards lower_file_; inside the inode's mutex, never held over user memory
  RefPtr<File> lower_file_;
  std::atomic<std::uint64_t> lower_end_{0};  ///< changed with the mutex held
  std::uint64_t lower_blocks_ = 0;
  ReadAhead ahead_;
  std::atomic<bool> is_counted_{false};
  std::atomic<bool> is_unlinked_{false};
};

}  // namespace quire::kernel
