// Changes of a shared tree: what makes, removes and renames.
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "fs/nine_p/inode.h"
#include "fs/nine_p/open_file.h"
#include "fs/permission.h"

namespace quire::kernel::nine_p {

Result<void> Inode9p::check_writable() const {
  if (fs_->is_stable()) return fail(Errno::kRoFs);
  return {};
}

std::uint32_t Inode9p::group_for_new() const { return filesystem_identity().gid; }

Result<RefPtr<Inode>> Inode9p::after_creation(std::string_view name, Result<void> made) {
  if (!made) return fail(made.error());
  return lookup(name);
}

Result<RefPtr<Inode>> Inode9p::create(std::string_view name, std::uint32_t mode,
                                      std::uint64_t rdev) {
  QUIRE_CHECK(check_writable());
  QUIRE_TRY(const Fid directory, fid());
  return after_creation(name, (mode & S_IFMT) == S_IFDIR
                                  ? client().mkdir(directory, name, mode & 07777U, group_for_new())
                                  : client().mknod(directory, name, mode, rdev, group_for_new()));
}

Result<RefPtr<Inode>> Inode9p::symlink(std::string_view name, std::string_view target) {
  QUIRE_CHECK(check_writable());
  QUIRE_TRY(const Fid directory, fid());
  return after_creation(name, client().symlink(directory, name, target, group_for_new()));
}

Result<void> Inode9p::link(std::string_view name, Inode& target) {
  QUIRE_CHECK(check_writable());
  QUIRE_TRY(const Fid directory, fid());
  QUIRE_TRY(const Fid linked, static_cast<Inode9p&>(target).fid());
  return client().link(directory, linked, name);
}

Result<void> Inode9p::unlink(std::string_view name) {
  QUIRE_CHECK(check_writable());
  QUIRE_TRY(const Fid directory, fid());
  return client().unlink(directory, name, Client::Remove::kFile);
}

Result<void> Inode9p::rmdir(std::string_view name) {
  QUIRE_CHECK(check_writable());
  QUIRE_TRY(const Fid directory, fid());
  return client().unlink(directory, name, Client::Remove::kDirectory);
}

Result<void> Inode9p::rename(std::string_view name, Inode& new_parent, std::string_view new_name,
                             std::uint32_t flags) {
  QUIRE_CHECK(check_writable());
  // The protocol has no exchange. That the new name is free was checked by the caller, as far as
  // one can from here.
  if ((flags & ~static_cast<std::uint32_t>(RENAME_NOREPLACE)) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const Fid from, fid());
  QUIRE_TRY(const Fid to, static_cast<Inode9p&>(new_parent).fid());
  return client().rename(from, name, to, new_name);
}

Result<void> Inode9p::set_attributes(const AttributeChange& change) {
  QUIRE_CHECK(check_writable());
  QUIRE_TRY(const Fid file, fid());
  const auto call = [this, file, &change] { return client().setattr(file, change); };
  if (!change.size) return call();
  const RefPtr<SharedContents> contents = SharedContents::find(*this);
  return contents ? contents->resize(*this, *change.size, call) : call();
}

Result<RefPtr<File>> Inode9p::open(std::uint32_t flags) {
  if (is_directory()) {
    // In a stable tree the listing is kept: asking for it now tells whether the server allows it.
    if (fs_->is_stable()) QUIRE_CHECK(listing());
    return make_ref<OpenDirectory>(RefPtr<Inode9p>(this));
  }
  if (!fs_->is_stable()) {
    QUIRE_TRY(FidHandle opened, open_fid(flags & O_ACCMODE));
    return make_ref<OpenFile>(make_ref<OpenFid>(RefPtr<Inode9p>(this), std::move(opened)));
  }
  if ((flags & O_ACCMODE) != O_RDONLY) return fail(Errno::kRoFs);
  Guard guard(state_lock_);
  if (!is_opened_) {
    // The inode's own fid becomes the open one: nobody walks from a file.
    QUIRE_TRY(const Fid file, fid_locked());
    QUIRE_CHECK(client().open(file, O_RDONLY));
    is_opened_ = true;
  }
  return make_ref<StableFile>(RefPtr<Inode9p>(this));
}

}  // namespace quire::kernel::nine_p
