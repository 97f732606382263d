#include "fs/extended_attributes.h"

#include <sys/stat.h>

#include <algorithm>

#include "fs/permission.h"

namespace quire::kernel {
namespace {

constexpr Errno kNoData{61};  // ENODATA
/// Names and values of one inode.
constexpr std::size_t kMostBytes = std::size_t{1} << 20;

constexpr std::string_view kUser = "user.", kTrusted = "trusted.", kSecurity = "security.";

/// `name` after its kind. Errors: EINVAL (nothing), EOPNOTSUPP (not of that kind).
Result<void> check_kind(std::string_view name, std::string_view kind) {
  if (!name.starts_with(kind)) return fail(Errno::kOpNotSupp);
  if (name.size() == kind.size()) return fail(Errno::kInval);
  return {};
}

/// Linux v6.12 fs/xattr.c:xattr_permission()
Result<void> check_user(const Attributes& owner, AttributeAccess access, const Identity& who) {
  const bool changes = access == AttributeAccess::kChange;
  const std::uint32_t type = owner.mode & S_IFMT;
  if (type != S_IFREG && type != S_IFDIR) return fail(changes ? Errno::kPerm : kNoData);
  if (type == S_IFDIR && (owner.mode & S_ISVTX) != 0 && changes && !acts_as_owner(owner, who)) return fail(Errno::kPerm);
  return check_access(owner, changes ? kMayWrite : kMayRead, who);
}

}  // namespace

const ExtendedAttributes::Entry* ExtendedAttributes::find(std::string_view name) const {
  const auto found = std::ranges::find(entries_, name, &Entry::name);
  return found == entries_.end() ? nullptr : &*found;
}

Result<void> ExtendedAttributes::set(std::string_view name, std::span<const std::byte> value, Change how) {
  const auto found = std::ranges::find(entries_, name, &Entry::name);
  const bool exists = found != entries_.end();
  if (exists && how == Change::kCreate) return fail(Errno::kExist);
  if (!exists && how == Change::kReplace) return fail(kNoData);
  const std::size_t freed = exists ? name.size() + found->value.size() : 0;
  const std::size_t needed = name.size() + value.size();
  if (bytes_ - freed + needed > kMostBytes) return fail(Errno::kNoSpc);
  bytes_ = bytes_ - freed + needed;
  Entry& entry = exists ? *found : entries_.emplace_back(std::string(name), std::vector<std::byte>());
  entry.value.assign(value.begin(), value.end());
  return {};
}

Result<void> ExtendedAttributes::remove(std::string_view name) {
  const auto found = std::ranges::find(entries_, name, &Entry::name);
  if (found == entries_.end()) return fail(kNoData);
  bytes_ -= found->name.size() + found->value.size();
  entries_.erase(found);
  return {};
}

Result<void> check_attribute(std::string_view name, const Attributes& owner, AttributeAccess access) {
  const Identity who = filesystem_identity();
  if (name.starts_with(kUser)) {
    QUIRE_CHECK(check_user(owner, access, who));
    return check_kind(name, kUser);
  }
  if (name.starts_with(kTrusted)) {
    if (!who.can(CAP_SYS_ADMIN)) return fail(access == AttributeAccess::kChange ? Errno::kPerm : kNoData);
    return check_kind(name, kTrusted);
  }
  if (name.starts_with(kSecurity) && access == AttributeAccess::kChange && !who.can(CAP_SYS_ADMIN)) return fail(Errno::kPerm);
  return check_kind(name, kSecurity);
}

bool is_listed(std::string_view name) { return !name.starts_with(kTrusted) || filesystem_identity().can(CAP_SYS_ADMIN); }

}  // namespace quire::kernel
