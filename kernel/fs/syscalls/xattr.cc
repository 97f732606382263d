// Extended attributes: files of tmpfs have them. For others the calls answer as Linux does where a file system has none: the file is looked
// up first, reading and setting say EOPNOTSUPP, and the list is empty. Linux v6.12 fs/xattr.c.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/xattr.h>

#include "fs/extended_attributes.h"
#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/syscalls/common.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kCwd = static_cast<std::uint64_t>(AT_FDCWD);
constexpr Errno kNoData{61};  // ENODATA

using Found = Result<RefPtr<Dentry>>;

/// Errors: EFAULT, ERANGE.
Result<std::string> name_arg(UserAddr name) {
  Result<std::string> text = copy_string_from_user(name, XATTR_NAME_MAX + 1);
  if (!text) return fail(text.error() == Errno::kNameTooLong ? Errno::kRange : text.error());
  if (text->empty()) return fail(Errno::kRange);
  return text;
}

Result<void> check_writable_mount(const Dentry& dentry) {
  if (dentry.mount() != nullptr && dentry.mount()->is_read_only()) return fail(Errno::kRoFs);
  return {};
}

/// Answers a question for `size` bytes at `to`; 0 asks how many there are. Errors: ERANGE, EFAULT.
SyscallResult answer(std::span<const std::byte> bytes, UserAddr to, std::uint64_t size) {
  if (size != 0) {
    if (bytes.size() > size) return fail(Errno::kRange);
    QUIRE_CHECK(copy_to_user(to, bytes.data(), bytes.size()));
  }
  return static_cast<std::int64_t>(bytes.size());
}

/// The attributes of the inode, for the caller to do that with `name`. Pre: the inode's mutex is held.
Result<ExtendedAttributes*> attributes_for(Inode& inode, std::string_view name, AttributeAccess access) {
  ExtendedAttributes* const all = inode.extended_attributes();
  if (all == nullptr) return fail(Errno::kOpNotSupp);
  QUIRE_TRY(const Attributes owner, inode.attributes());
  QUIRE_CHECK(check_attribute(name, owner, access));
  return all;
}

/// The time of the change, and who watches hears of it.
SyscallResult changed(Dentry& dentry) {
  QUIRE_CHECK(dentry.inode()->set_attributes({}));
  notify(dentry, IN_ATTRIB);
  return 0;
}

SyscallResult set(const Found& found, const SyscallArgs& args) {
  if (!found) return fail(found.error());
  const std::uint64_t size = args.a[3];
  const std::uint32_t flags = uint_arg(args.a[4]);
  if ((flags & ~std::uint32_t{XATTR_CREATE | XATTR_REPLACE}) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const std::string name, name_arg(args.a[1]));
  if (size > XATTR_SIZE_MAX) return fail(Errno::kTooBig);
  std::vector<std::byte> value(size);
  QUIRE_CHECK(copy_from_user(value.data(), args.a[2], size));
  QUIRE_CHECK(check_writable_mount(**found));
  Inode& inode = *(*found)->inode();
  using Change = ExtendedAttributes::Change;
  const Change how = (flags & XATTR_CREATE) != 0 ? Change::kCreate : (flags & XATTR_REPLACE) != 0 ? Change::kReplace : Change::kAny;
  {
    Guard guard(inode.mutex);
    QUIRE_TRY(ExtendedAttributes* const all, attributes_for(inode, name, AttributeAccess::kChange));
    QUIRE_CHECK(all->set(name, value, how));
  }
  return changed(**found);
}

SyscallResult get(const Found& found, const SyscallArgs& args) {
  if (!found) return fail(found.error());
  QUIRE_TRY(const std::string name, name_arg(args.a[1]));
  Inode& inode = *(*found)->inode();
  std::vector<std::byte> value;
  {
    Guard guard(inode.mutex);
    QUIRE_TRY(const ExtendedAttributes* const all, attributes_for(inode, name, AttributeAccess::kRead));
    const ExtendedAttributes::Entry* const entry = all->find(name);
    if (entry == nullptr) return fail(kNoData);
    value = entry->value;
  }
  return answer(value, args.a[2], args.a[3]);
}

SyscallResult remove(const Found& found, const SyscallArgs& args) {
  if (!found) return fail(found.error());
  QUIRE_TRY(const std::string name, name_arg(args.a[1]));
  QUIRE_CHECK(check_writable_mount(**found));
  Inode& inode = *(*found)->inode();
  {
    Guard guard(inode.mutex);
    QUIRE_TRY(ExtendedAttributes* const all, attributes_for(inode, name, AttributeAccess::kChange));
    QUIRE_CHECK(all->remove(name));
  }
  return changed(**found);
}

SyscallResult list(const Found& found, const SyscallArgs& args) {
  if (!found) return fail(found.error());
  Inode& inode = *(*found)->inode();
  std::string names;
  {
    Guard guard(inode.mutex);
    const ExtendedAttributes* const all = inode.extended_attributes();
    if (all == nullptr) return 0;
    for (const ExtendedAttributes::Entry& entry : all->all()) {
      if (is_listed(entry.name)) names.append(entry.name).push_back('\0');
    }
  }
  return answer(std::as_bytes(std::span(names)), args.a[1], args.a[2]);
}

Found followed(const SyscallArgs& args) { return dentry_arg(kCwd, args.a[0], 0, 0); }
Found kept(const SyscallArgs& args) { return dentry_arg(kCwd, args.a[0], AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW); }
Found of_descriptor(const SyscallArgs& args) {
  QUIRE_CHECK(file_arg(args.a[0]));
  return dentry_of_fd(args.a[0]);
}

/// A call: how it finds its file, and what it does with it.
template <Found (*kFind)(const SyscallArgs&), SyscallResult (*kDo)(const Found&, const SyscallArgs&)>
SyscallResult call(const SyscallArgs& args) {
  return kDo(kFind(args), args);
}

constexpr SyscallEntry kEntries[] = {
    {__NR_getxattr, "getxattr", call<followed, get>},
    {__NR_lgetxattr, "lgetxattr", call<kept, get>},
    {__NR_fgetxattr, "fgetxattr", call<of_descriptor, get>},
    {__NR_setxattr, "setxattr", call<followed, set>},
    {__NR_lsetxattr, "lsetxattr", call<kept, set>},
    {__NR_fsetxattr, "fsetxattr", call<of_descriptor, set>},
    {__NR_removexattr, "removexattr", call<followed, remove>},
    {__NR_lremovexattr, "lremovexattr", call<kept, remove>},
    {__NR_fremovexattr, "fremovexattr", call<of_descriptor, remove>},
    {__NR_listxattr, "listxattr", call<followed, list>},
    {__NR_llistxattr, "llistxattr", call<kept, list>},
    {__NR_flistxattr, "flistxattr", call<of_descriptor, list>},
};

}  // namespace

std::span<const SyscallEntry> xattr_syscalls() { return kEntries; }

}  // namespace quire::kernel
