#include "fs/memory/memory_fs.h"

#include <linux/magic.h>
#include <sys/stat.h>

#include "fs/memory/directory.h"
#include "fs/memory/machine_memory.h"

namespace quire::kernel {

Result<FileSystemFigures> MemoryFs::figures() {
  const std::uint64_t pages_free = budget_.limit() - budget_.used();
  return FileSystemFigures{.magic = magic_,
                           .block_size = kPageSize,
                           .blocks = budget_.limit(),
                           .blocks_free = pages_free,
                           .blocks_available = pages_free,
                           .files = inodes_.limit(),
                           .files_free = inodes_.limit() - inodes_.used()};
}

Result<void> MemoryFs::charge_inode() {
  if (!inodes_.try_charge(1)) return fail(Errno::kNoSpc);
  return {};
}

RefPtr<MemoryFs> make_memory_fs(std::string_view type) {
  return make_ref<MemoryFs>(type, std::uint64_t{TMPFS_MAGIC}, memory_pages() / 2,
                            memory_pages() / 2);
}

RefPtr<Inode> make_memory_root(RefPtr<MemoryFs> fs, std::uint32_t permissions) {
  return make_ref<MemoryDirectory>(std::move(fs), S_IFDIR | permissions, 0U, 0U);
}

}  // namespace quire::kernel
