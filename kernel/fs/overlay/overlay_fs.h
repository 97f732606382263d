// The overlay: a read-only file system below, and everything that was changed in memory above it.
//
// A directory of the overlay is a directory in memory whose table says only what differs from the
// directory below: names that were made or changed, and whiteouts for those that are gone.
// Everything else is looked up below and wrapped in a node that is dropped again when nobody uses
// it. A wrapped node that is about to change is *pinned* first: it gets an entry in its directory's
// table, and so do its directories up to the root. Nothing is copied but what changes: a written
// file keeps the pages that were written and shows the file below in its holes. A moved directory
// takes its lower directory along, so that renames work as on one file system.
//
// Life cycle: one per overlay mount. Differences from Linux's overlayfs: hard links below break
// when one of the names is changed, and changes through one name are not seen through the other;
// inode numbers never change; nothing is ever written below.
#pragma once

#include <linux/magic.h>

#include <atomic>

#include "fs/memory/directory.h"
#include "fs/memory/memory_fs.h"

namespace quire::kernel {

class OverlayFs final : public MemoryFs {
 public:
  OverlayFs(std::uint64_t max_pages, std::uint64_t max_inodes)
      : MemoryFs("overlay", OVERLAYFS_SUPER_MAGIC, max_pages, max_inodes) {
    start_inode_numbers_at(kFirstInode);
  }
  /// Those of files below cannot be seen, so there are none.
  [[nodiscard]] bool has_extended_attributes() const override { return false; }
  /// Regular files made or written that still have a name.
  std::atomic<unsigned> files_written{0};

 private:
  /// Inodes of our own have numbers above those of any file below.
  static constexpr std::uint64_t kFirstInode = std::uint64_t{1} << 46;
};

/// The root of an overlay over the directory `lower`.
RefPtr<Inode> make_overlay_root(RefPtr<OverlayFs> fs, RefPtr<Inode> lower);
/// An overlay file system sized as tmpfs is.
RefPtr<OverlayFs> make_overlay_fs();

}  // namespace quire::kernel
