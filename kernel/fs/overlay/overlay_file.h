// A regular file of the overlay.
//
// Its pages are those that were written; up to `lower_end_` its holes show the file below, beyond
// it zeros.
#pragma once

#include "fs/memory/memory_file.h"
#include "fs/overlay/overlay_node.h"

namespace quire::kernel {

class OverlayFile final : public OverlayNode<MemoryFile> {
 public:
  OverlayFile(RefPtr<OverlayFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid);
  OverlayFile(RefPtr<OverlayDirectory> directory, std::string_view name, RefPtr<Inode> lower,
              RefPtr<OverlayFs> fs);

  /// Errors: also those of opening the file below.
  Result<RefPtr<File>> open(std::uint32_t flags) override;

 protected:
  void on_loaded(const Attributes& attributes) override;
  Result<void> fill(std::uint64_t index, PageStore::Page page) override;
  Result<void> read_hole(IoBuffer& buffer, std::uint64_t offset, std::size_t n) override;
  [[nodiscard]] std::uint64_t end_of_lower_data() const override { return lower_end_; }
  void on_cut(std::uint64_t size) override;
  void on_written() override;
  void on_unlinked() override;
  [[nodiscard]] std::uint64_t blocks() const override;

 private:
  /// The file below, open for reading. Pre: the mutex is held.
  Result<RefPtr<File>> lower_file();

  RefPtr<File> lower_file_;
  std::uint64_t lower_end_ = 0;
  std::uint64_t lower_blocks_ = 0;
  std::atomic<bool> is_counted_{false};
  std::atomic<bool> is_unlinked_{false};
};

}  // namespace quire::kernel
