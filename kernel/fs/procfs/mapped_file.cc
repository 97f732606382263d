#include "fs/procfs/mapped_file.h"

#include "fs/vfs.h"

namespace quire::kernel {

std::optional<MappedFile> mapped_file(const Vma& vma) {
  if (vma.label == nullptr || vma.label->name()) return std::nullopt;
  auto& file = static_cast<File&>(*vma.label);  // the kernel makes no other labels but names
  MappedFile result;
  result.name = file.dentry ? path_of(*file.dentry) : file.anonymous_name();
  if (const Result<Attributes> now = file.attributes()) {
    result.device = now->device;
    result.inode = now->inode;
  }
  return result;
}

}  // namespace quire::kernel
