#include "fs/lookup.h"

#include <vector>

namespace quire::kernel {
namespace {

bool is_usable(const Dentry& dentry) {
  return dentry.is_negative() || dentry.is_mount_root() || dentry.inode()->cacheable();
}

RefPtr<Dentry> cached(Dentry& parent, std::string_view name) {
  RefPtr<Dentry> dentry = dentry_cache().find(parent, name);
  if (!dentry || is_usable(*dentry)) return dentry;
  dentry_cache().remove(*dentry, DentryCache::Why::kStale);
  return nullptr;
}

Result<RefPtr<Dentry>> make_dentry(Dentry& parent, std::string_view name, RefPtr<Inode> inode) {
  std::uint32_t type = 0;
  if (inode) {
    QUIRE_TRY(type, inode->type());
  }
  return make_ref<Dentry>(name, RefPtr<Dentry>(&parent), parent.mount(), std::move(inode), type);
}

RefPtr<Dentry> absent(Dentry& parent, std::string_view name) {
  RefPtr<Dentry> dentry =
      make_ref<Dentry>(name, RefPtr<Dentry>(&parent), parent.mount(), nullptr, 0U);
  return parent.inode()->caches_absence() ? dentry_cache().add(std::move(dentry)) : dentry;
}

/// Hangs what was found below `top` under it. `top` is not in the cache yet, so nobody can have
/// changed anything there.
Result<void> add_below(RefPtr<Dentry> top, std::span<const std::string_view> names,
                       std::span<RefPtr<Inode>> inodes) {
  for (std::size_t i = 0; i < inodes.size() && top->is_directory(); ++i) {
    QUIRE_TRY(RefPtr<Dentry> next, make_dentry(*top, names[i], std::move(inodes[i])));
    top = dentry_cache().add(std::move(next));
  }
  return {};
}

/// Asks the file system. Pre: the directory's mutex is held.
Result<RefPtr<Dentry>> ask(Dentry& parent, std::span<const std::string_view> names) {
  std::vector<RefPtr<Inode>> found;
  Inode& directory = *parent.inode();
  const Result<void> result = directory.lookup_ahead(names, found);
  if (!result && result.error() != Errno::kNoEnt) return fail(result.error());
  if (!result) return absent(parent, names[0]);
  const bool is_cached = directory.cacheable();
  QUIRE_TRY(RefPtr<Dentry> dentry, make_dentry(parent, names[0], std::move(found[0])));
  if (!is_cached) return dentry;
  QUIRE_CHECK(add_below(dentry, names.subspan(1), std::span(found).subspan(1)));
  return dentry_cache().add(std::move(dentry));
}

}  // namespace

Result<RefPtr<Dentry>> lookup(Dentry& parent, std::span<const std::string_view> names) {
  if (RefPtr<Dentry> dentry = cached(parent, names[0])) return dentry;
  if (names[0].size() > kNameMax) return fail(Errno::kNameTooLong);
  Guard guard(parent.inode()->mutex);
  if (RefPtr<Dentry> dentry = cached(parent, names[0])) return dentry;
  if (dentry_cache().is_unlinked(parent)) return make_dentry(parent, names[0], nullptr);
  return ask(parent, names);
}

Result<RefPtr<Dentry>> lookup_locked(Dentry& parent, std::string_view name) {
  if (name.size() > kNameMax) return fail(Errno::kNameTooLong);
  if (dentry_cache().is_unlinked(parent)) return fail(Errno::kNoEnt);
  if (RefPtr<Dentry> dentry = cached(parent, name)) return dentry;
  return ask(parent, std::span(&name, 1));
}

Result<RefPtr<Dentry>> publish_new(Dentry& parent, std::string_view name, RefPtr<Inode> inode) {
  const bool is_cached = inode->cacheable();
  QUIRE_TRY(RefPtr<Dentry> dentry, make_dentry(parent, name, std::move(inode)));
  return is_cached ? dentry_cache().add(std::move(dentry)) : dentry;
}

}  // namespace quire::kernel
