// Making, removing and renaming names: what mkdir(2), unlink(2), rename(2) … do once their
// arguments are in the kernel.
//
// Paths are resolved from `dirfd` in the current task's context. Order of checks as Linux v6.12
// fs/namei.c (filename_create(), do_unlinkat(), do_rmdir(), do_renameat2()); permissions as
// may_create() and may_delete() there. Locks: a directory's mutex over a change of its names; for
// two directories the upper one first, or by address; renames between directories one at a time, so
// that no directory can become its own parent.
#pragma once

#include <cstdint>
#include <string_view>

#include "fs/vfs.h"

namespace quire::kernel {

/// A path and the directory it starts from, as the *at() calls have them.
struct PathAt {
  int dirfd;
  std::string_view path;
};

/// Modes come with S_IFMT bits and after umask.
Result<void> make_node(PathAt at, std::uint32_t mode, std::uint64_t rdev);
Result<void> make_directory(PathAt at, std::uint32_t mode);
Result<void> make_symlink(std::string_view target, PathAt at);
/// `at_flags`: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH.
Result<void> make_link(PathAt from, PathAt to, std::uint32_t at_flags);
Result<void> unlink_name(PathAt at);
Result<void> remove_directory(PathAt at);
/// `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE.
Result<void> rename_name(PathAt from, PathAt to, std::uint32_t flags);

}  // namespace quire::kernel
