// Files as the rest of the kernel uses them.
#include <linux/fcntl.h>
#include <sys/stat.h>

#include "fs/open.h"
#include "fs/permission.h"
#include "fs/vfs.h"
#include "fs/walk.h"

namespace quire::kernel {

Result<RefPtr<File>> open_path(std::string_view path, std::uint32_t flags, std::uint32_t mode) {
  return open_at(AT_FDCWD, path, {.flags = flags, .mode = mode, .resolve = 0});
}

Result<RefPtr<File>> open_executable(std::string_view path) {
  QUIRE_TRY(const RefPtr<Dentry> dentry, resolve_path(AT_FDCWD, path, FinalLink::kFollow));
  if (dentry->type() != S_IFREG) return fail(Errno::kAcces);
  QUIRE_CHECK(check_access(*dentry->inode(), dentry->type(), kMayExecute, filesystem_identity()));
  return open_unchecked(dentry, O_RDONLY);
}

Result<std::size_t> read_file(File& file, void* to, std::size_t size, std::uint64_t offset) {
  IoBuffer buffer = IoBuffer::kernel(to, size);
  while (buffer.size() > 0) {
    QUIRE_TRY(const std::size_t n, file.read(buffer, offset));
    if (n == 0) break;
    offset += n;
  }
  return size - buffer.size();
}

}  // namespace quire::kernel
