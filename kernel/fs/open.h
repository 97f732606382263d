// open(2): from a path to an open file.
//
// Order of checks as Linux v6.12 fs/open.c:build_open_flags(), fs/namei.c:path_openat(), do_open(),
// may_open().
#pragma once

#include <cstdint>
#include <string_view>

#include "fs/dentry.h"
#include "fs/permission.h"

namespace quire::kernel {

/// struct open_how of openat2(2). Plain open masks what openat2 refuses before it gets here.
struct OpenHow {
  std::uint32_t flags = 0;    ///< O_*
  std::uint32_t mode = 0;     ///< permission bits of a file that is made, before umask
  std::uint64_t resolve = 0;  ///< RESOLVE_*
};

/// Errors: as man7 open(2).
Result<RefPtr<File>> open_at(int dirfd, std::string_view path, const OpenHow& how);
/// Opens what `dentry` names, with the permission checks. Does not create or truncate.
Result<RefPtr<File>> open_dentry(const RefPtr<Dentry>& dentry, std::uint32_t flags,
                                 const Identity& who);
/// The same once all checks are done.
Result<RefPtr<File>> open_unchecked(const RefPtr<Dentry>& dentry, std::uint32_t flags);
/// The current task's umask.
std::uint32_t current_umask();

}  // namespace quire::kernel
