// A file system in memory: what its inodes have in common. Used as tmpfs, devfs, and for the upper
// part of the overlay.
//
// Life cycle: lives while a mount or an inode names it. It is sized by a page budget and a number
// of inodes; both give ENOSPC.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "fs/memory/page_budget.h"
#include "fs/mount.h"

namespace quire::kernel {

class MemoryFs : public FileSystem {
 public:
  /// Linux's default for tmpfs is half of memory, and an inode for every two pages.
  MemoryFs(std::string_view type, std::uint64_t magic, std::uint64_t max_pages,
           std::uint64_t max_inodes)
      : FileSystem(type), magic_(magic), budget_(max_pages), inodes_(max_inodes) {}

  Result<FileSystemFigures> figures() override;
  [[nodiscard]] PageBudget& budget() { return budget_; }
  /// Errors: ENOSPC.
  Result<void> charge_inode();
  void uncharge_inode() { inodes_.uncharge(1); }
  [[nodiscard]] std::uint64_t next_inode_number() { return ++last_inode_; }
  [[nodiscard]] virtual bool has_extended_attributes() const { return true; }

  /// Guards the name tables of all its directories, inside their mutexes. Nothing is dropped or
  /// asked under it.
  SpinLock names_lock;

 protected:
  void start_inode_numbers_at(std::uint64_t first) { last_inode_ = first; }

 private:
  const std::uint64_t magic_;
  PageBudget budget_;
  PageBudget inodes_;  ///< counts inodes, not pages
  std::atomic<std::uint64_t> last_inode_{0};
};

/// A tmpfs of the default size.
RefPtr<MemoryFs> make_memory_fs(std::string_view type);
/// An empty root directory in it, of root's, with these permission bits.
RefPtr<Inode> make_memory_root(RefPtr<MemoryFs> fs, std::uint32_t permissions);

}  // namespace quire::kernel
