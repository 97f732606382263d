// Extended attributes of an inode in memory: names with values, and who may touch which (man7 xattr(7); Linux v6.12 fs/xattr.c).
//
// Life cycle: made with the first attribute, ends with its inode. Locks: the inode's mutex guards it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fs/vfs.h"

namespace quire::kernel {

class ExtendedAttributes {
 public:
  struct Entry {
    std::string name;
    std::vector<std::byte> value;
  };
  enum class Change : std::uint8_t { kAny, kCreate, kReplace };

  /// Errors: EEXIST, ENODATA, ENOSPC (more than an inode may have).
  Result<void> set(std::string_view name, std::span<const std::byte> value, Change how);
  /// Null: there is none such.
  [[nodiscard]] const Entry* find(std::string_view name) const;
  /// Errors: ENODATA.
  Result<void> remove(std::string_view name);
  [[nodiscard]] std::span<const Entry> all() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  std::size_t bytes_ = 0;
};

/// Whether the caller may read or change the attribute `name` of an inode with these attributes. Errors: EPERM, EACCES, ENODATA (he may not
/// even know), EOPNOTSUPP (no such kind of name), EINVAL.
enum class AttributeAccess : std::uint8_t { kRead, kChange };
Result<void> check_attribute(std::string_view name, const Attributes& owner, AttributeAccess access);
/// Whether the caller is shown the name in a list.
[[nodiscard]] bool is_listed(std::string_view name);

}  // namespace quire::kernel
