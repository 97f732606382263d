#include "fs/syscalls/common.h"

#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/uio.h>

#include "fs/walk.h"
#include "task/task.h"

namespace quire::kernel {

Result<RefPtr<File>> any_file_arg(std::uint64_t fd) { return current_files().get(int_arg(fd)); }

Result<RefPtr<File>> file_arg(std::uint64_t fd) {
  QUIRE_TRY(RefPtr<File> file, any_file_arg(fd));
  if ((file->flags.load() & O_PATH) != 0) return fail(Errno::kBadF);
  return file;
}

Result<std::string> path_arg(UserAddr address) { return copy_string_from_user(address, PATH_MAX); }

Result<RefPtr<Dentry>> dentry_arg(std::uint64_t dirfd, UserAddr path, std::uint32_t flags,
                                  std::uint32_t allowed) {
  if ((flags & ~allowed) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const std::string name, path_arg(path));
  return resolve_at(int_arg(dirfd), name, flags, FinalLink::kFollow);
}

Result<RefPtr<Dentry>> dentry_of_fd(std::uint64_t fd) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(fd));
  return dentry_of(*file, file->anonymous_name());
}

Result<void> IoVector::load(UserAddr address, std::uint64_t count) {
  if (count > UIO_MAXIOV) return fail(Errno::kInval);
  std::span<IoPiece> pieces = few_;
  if (count > few_.size()) {
    many_.resize(count);
    pieces = many_;
  }
  pieces = pieces.first(count);
  constexpr std::uint64_t kSsizeMax = ~std::uint64_t{0} >> 1;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    QUIRE_TRY(const iovec vector, get_user<iovec>(address + i * sizeof(iovec)));
    pieces[i] = {.address = reinterpret_cast<std::uint64_t>(vector.iov_base),
                 .size = vector.iov_len};
    if (vector.iov_len > kSsizeMax || total + vector.iov_len > kSsizeMax)
      return fail(Errno::kInval);
    total += vector.iov_len;
  }
  pieces_ = pieces;
  return {};
}

}  // namespace quire::kernel
