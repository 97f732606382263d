#include "fs/mount.h"

#include <sys/stat.h>

#include "quire/base/assert.h"

namespace quire::kernel {
namespace {

std::uint64_t next_anonymous_device() {
  static std::atomic<std::uint64_t> last{20};
  return last.fetch_add(1) +
         1;  // major 0: the minor number alone, as Linux's new_encode_dev() has it below 256
}

}  // namespace

FileSystem::FileSystem(std::string_view type) : type_(type), device_(next_anonymous_device()) {}

Result<RefPtr<Dentry>> MountTable::mount(RefPtr<Dentry> where, std::unique_ptr<Mount> mount,
                                         RefPtr<Inode> root) {
  QUIRE_ASSERT(!where == mounts_.empty(), "the first mount is the root, and no other is");
  if (where && !where->is_directory()) return fail(Errno::kNotDir);
  DentryCache& cache = dentry_cache();
  const std::string name = where ? cache.name(*where) : std::string();
  mount->root_ = make_ref<Dentry>(name, where ? cache.parent(*where) : nullptr, mount.get(),
                                  std::move(root), static_cast<std::uint32_t>(S_IFDIR));
  if (where) {
    cache.cover(*where, mount->root_);
  } else {
    mount->root_->is_mount_root_ = true;
  }
  mount->covered_ = std::move(where);
  mounts_.push_back(std::move(mount));
  return mounts_.back()->root_;
}

RefPtr<Dentry> MountTable::root() const {
  QUIRE_ASSERT(!mounts_.empty(), "nothing is mounted");
  return mounts_.front()->root_;
}

void MountTable::drop() {
  for (const auto& mount : mounts_) {
    mount->root_ = nullptr;
    mount->covered_ = nullptr;
  }
  // A dentry that someone still holds keeps a pointer to its mount, which nobody follows after
  // this.
  dentry_cache().clear();
  mounts_.clear();
}

MountTable& mount_table() {
  static MountTable& table = *new MountTable;  // never destroyed, see dentry_cache()
  return table;
}

}  // namespace quire::kernel
