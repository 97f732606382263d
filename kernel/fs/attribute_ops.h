// Changing attributes as chmod(2), chown(2), utimensat(2) and truncate(2) do: with permissions and
// side effects.
//
// Linux v6.12 fs/attr.c:setattr_prepare(), fs/open.c:chmod_common(), chown_common(), do_truncate(),
// fs/utimes.c:vfs_utimes().
#pragma once

#include <cstdint>
#include <optional>

#include "fs/dentry.h"
#include "fs/vfs.h"

namespace quire::kernel {

/// Errors: EROFS, EPERM, the file system's.
Result<void> change_mode(Dentry& dentry, std::uint32_t mode);
/// Nothing: stays as it is. Errors: as above.
Result<void> change_owner(Dentry& dentry, std::optional<std::uint32_t> uid,
                          std::optional<std::uint32_t> gid);

/// One of the two times of utimensat(2): nothing (UTIME_OMIT), now, or a value.
struct TimeChange {
  enum class Kind : std::uint8_t { kOmit, kNow, kSet } kind = Kind::kNow;
  std::int64_t ns = 0;
};
/// Errors: EROFS, EPERM (times given, not the owner), EACCES (now, neither owner nor writer).
Result<void> change_times(Dentry& dentry, TimeChange access, TimeChange modify);

/// Errors: EISDIR, EINVAL, EROFS, EACCES, EFBIG (with SIGXFSZ).
Result<void> truncate_path(Dentry& dentry, std::uint64_t size);
/// Errors: EINVAL (not a regular file, not open for writing), EFBIG.
Result<void> truncate_file(File& file, std::uint64_t size);
/// Errors: EFBIG, with SIGXFSZ, if a file may not reach `end`. Linux v6.12
/// mm/filemap.c:generic_write_check_limits().
Result<void> check_file_size_limit(std::uint64_t end);

}  // namespace quire::kernel
