#include "fs/dentry.h"
#include "fs/vfs.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

/// What stands for an open file that has neither a name nor an inode.
class NamelessInode final : public Inode {
 public:
  explicit NamelessInode(RefPtr<File> file) : file_(std::move(file)) {}
  Result<Attributes> attributes() override { return file_->attributes(); }
  Result<RefPtr<File>> open(std::uint32_t) override { return file_; }
  RefPtr<File> already_open() override { return file_; }

 private:
  RefPtr<File> file_;
};

}  // namespace

RefPtr<FsContext> FsContext::clone() {
  RefPtr<FsContext> copy = make_ref<FsContext>();
  Guard guard(mutex);
  copy->root = root;
  copy->cwd = cwd;
  copy->umask = umask;
  return copy;
}

RefPtr<Dentry> dentry_of(File& file, std::string_view name) {
  if (file.dentry) return file.dentry;
  RefPtr<Inode> inode = file.inode;
  if (!inode) inode = make_ref<NamelessInode>(RefPtr<File>(&file));
  const std::uint32_t type = inode->type().value_or(0);
  return make_ref<Dentry>(name, nullptr, nullptr, std::move(inode), type);
}

std::string path_of(Dentry& dentry) {
  DentryCache& cache = dentry_cache();
  if (dentry.mount() == nullptr) return cache.name(dentry);
  RefPtr<Dentry> root;
  {
    FsContext& context = current_fs();
    Guard guard(context.mutex);
    root = context.root;
  }
  bool reached = false;
  std::string path = cache.path(dentry, root.get(), reached);
  if (cache.is_unlinked(dentry)) path += " (deleted)";
  return path;
}

}  // namespace quire::kernel
