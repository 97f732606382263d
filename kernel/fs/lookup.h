// One name in one directory, through the dentry cache.
#pragma once

#include <span>
#include <string_view>

#include "fs/dentry.h"

namespace quire::kernel {

inline constexpr std::size_t kNameMax = 255;  // NAME_MAX

/// What `names[0]` is in the directory `parent`, perhaps a negative dentry. The further names are
/// what will be asked for next, each in the one before: a file system may look all of them up at
/// once, and what it found goes to the cache.
///
/// Locks:  takes the directory's mutex if the cache does not know.
/// Errors: what the file system reports, but for ENOENT.
Result<RefPtr<Dentry>> lookup(Dentry& parent, std::span<const std::string_view> names);
/// The same for callers that hold the directory's mutex and will change the name. Errors: also
/// ENOENT if `parent` itself is removed.
Result<RefPtr<Dentry>> lookup_locked(Dentry& parent, std::string_view name);

/// Makes what was just created under `parent`'s mutex known: the meaning of `name` from now on.
Result<RefPtr<Dentry>> publish_new(Dentry& parent, std::string_view name, RefPtr<Inode> inode);

}  // namespace quire::kernel
