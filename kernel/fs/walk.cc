#include "fs/walk.h"

#include <linux/fcntl.h>
#include <linux/openat2.h>

#include <array>

#include "fs/lookup.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

/// Components handed to the file system at once.
constexpr std::size_t kMaxAhead = 16;

LastName kind_of(std::string_view component) {
  if (component.empty()) return LastName::kNone;
  if (component == ".") return LastName::kDot;
  if (component == "..") return LastName::kDotDot;
  return LastName::kNormal;
}

/// Where a path that is not absolute starts.
Result<RefPtr<Dentry>> start_of(int dirfd) {
  if (dirfd == AT_FDCWD) {
    FsContext& context = current_fs();
    Guard guard(context.mutex);
    return context.cwd;
  }
  QUIRE_TRY(const RefPtr<File> file, current_files().get(dirfd));
  if (!file->dentry || !file->dentry->is_directory()) return fail(Errno::kNotDir);
  return file->dentry;
}

RefPtr<Dentry> current_root() {
  FsContext& context = current_fs();
  Guard guard(context.mutex);
  return context.root;
}

}  // namespace

Result<void> Walker::restrict_to(std::uint64_t resolve) {
  constexpr std::uint64_t kKnown = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                                   RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
  constexpr std::uint64_t kScopes = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
  if ((resolve & ~kKnown) != 0 || (resolve & kScopes) == kScopes) return fail(Errno::kInval);
  if ((resolve & RESOLVE_CACHED) != 0)
    return fail(Errno::kAgain);  // "not known without I/O" is always a true answer
  resolve_ = resolve;
  return {};
}

Result<void> Walker::begin(int dirfd, std::string_view path) {
  if (path.empty()) return fail(Errno::kNoEnt);
  const bool needs_start =
      path.front() != '/' || (resolve_ & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0;
  RefPtr<Dentry> root = current_root();
  RefPtr<Dentry> start = root;
  if (needs_start) {
    QUIRE_TRY(start, start_of(dirfd));
    if ((resolve_ & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0) root = start;
  }
  return begin(std::move(start), std::move(root), path);
}

Result<void> Walker::begin(RefPtr<Dentry> start, RefPtr<Dentry> root, std::string_view path) {
  at_ = std::move(start);
  root_ = std::move(root);
  path_ = path;
  end_ = 0;
  if (path_.empty()) return fail(Errno::kNoEnt);
  return path_.front() == '/' ? go_to_root() : Result<void>();
}

Result<void> Walker::go_to_root() {
  if ((resolve_ & RESOLVE_BENEATH) != 0) return fail(Errno::kXDev);
  if ((resolve_ & RESOLVE_NO_XDEV) != 0 && at_->mount() != root_->mount())
    return fail(Errno::kXDev);
  at_ = root_;
  return {};
}

Result<void> Walker::check_search() {
  if (!at_->is_directory()) return fail(Errno::kNotDir);
  return check_access(*at_->inode(), at_->type(), kMayExecute, who_);
}

Result<RefPtr<Dentry>> Walker::up() {
  if (at_ == root_) {
    if ((resolve_ & RESOLVE_BENEATH) != 0) return fail(Errno::kXDev);
    return at_;
  }
  RefPtr<Dentry> parent = dentry_cache().parent(*at_);
  if (!parent) return at_;
  if ((resolve_ & RESOLVE_NO_XDEV) != 0 && parent->mount() != at_->mount())
    return fail(Errno::kXDev);
  return parent;
}

std::string_view Walker::component_at(std::size_t begin) const {
  const std::string_view rest = std::string_view(path_).substr(begin);
  return rest.substr(0, rest.find('/'));
}

/// Looks the component before the walker up, with those behind it as a hint.
Result<RefPtr<Dentry>> Walker::lookup_component() {
  std::array<std::string_view, kMaxAhead> names;
  names[0] = last();
  std::size_t count = 1;
  for (std::size_t next = end_; count < kMaxAhead;) {
    next = path_.find_first_not_of('/', next);
    if (next == std::string::npos) break;
    const std::string_view name = component_at(next);
    if (kind_of(name) != LastName::kNormal || name.size() > kNameMax) break;
    names[count++] = name;
    next += name.size();
  }
  QUIRE_TRY(RefPtr<Dentry> child, lookup(*at_, std::span(names.data(), count)));
  if ((resolve_ & RESOLVE_NO_XDEV) != 0 && child->mount() != at_->mount())
    return fail(Errno::kXDev);
  return child;
}

Result<void> Walker::enter(RefPtr<Dentry> child) {
  if (child->is_negative()) return fail(Errno::kNoEnt);
  if (child->is_symlink()) return follow(*child);
  at_ = std::move(child);
  return {};
}

Result<void> Walker::to_parent() {
  for (;;) {
    begin_ = path_.find_first_not_of('/', end_);
    if (begin_ == std::string::npos) {
      // Only slashes are left. end_ stays before them, so that has_trailing_slash() sees them.
      begin_ = end_;
      last_kind_ = LastName::kNone;
      return {};
    }
    QUIRE_CHECK(check_search());
    const std::string_view component = component_at(begin_);
    end_ = begin_ + component.size();
    last_kind_ = kind_of(component);
    if (path_.find_first_not_of('/', end_) == std::string::npos) return {};
    switch (last_kind_) {
      case LastName::kNormal: {
        QUIRE_TRY(RefPtr<Dentry> child, lookup_component());
        QUIRE_CHECK(enter(std::move(child)));
        break;
      }
      case LastName::kDotDot: {
        QUIRE_TRY(at_, up());
        break;
      }
      case LastName::kDot:
      case LastName::kNone:
        break;
    }
  }
}

Result<RefPtr<Dentry>> Walker::lookup_last() {
  switch (last_kind_) {
    case LastName::kNormal:
      return lookup_component();
    case LastName::kDotDot:
      return up();
    case LastName::kDot:
    case LastName::kNone:
      break;
  }
  return at_;
}

Result<void> Walker::follow(Dentry& link) {
  if ((resolve_ & RESOLVE_NO_SYMLINKS) != 0 || ++links_ > kMaxLinks) return fail(Errno::kLoop);
  std::string rest = path_.substr(end_);
  QUIRE_TRY(RefPtr<Dentry> target, link.inode()->follow_link());
  if (target) {
    constexpr std::uint64_t kScoped = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
    if ((resolve_ & RESOLVE_NO_MAGICLINKS) != 0) return fail(Errno::kLoop);
    if ((resolve_ & kScoped) != 0) return fail(Errno::kXDev);
    at_ = std::move(target);
    path_ = std::move(rest);
    end_ = 0;
    return {};
  }
  QUIRE_TRY(std::string text, link.inode()->read_link());
  if (text.empty()) return fail(Errno::kNoEnt);
  path_ = std::move(text);
  path_ += rest;
  end_ = 0;
  return path_.front() == '/' ? go_to_root() : Result<void>();
}

Result<RefPtr<Dentry>> Walker::resolve(FinalLink final_link) {
  for (;;) {
    QUIRE_CHECK(to_parent());
    QUIRE_TRY(RefPtr<Dentry> dentry, lookup_last());
    if (dentry->is_negative()) return fail(Errno::kNoEnt);
    const bool is_followed = final_link == FinalLink::kFollow || has_trailing_slash();
    if (dentry->is_symlink() && is_followed && last_kind_ == LastName::kNormal) {
      QUIRE_CHECK(follow(*dentry));
      continue;
    }
    if (has_trailing_slash() && !dentry->is_directory()) return fail(Errno::kNotDir);
    return dentry;
  }
}

Result<RefPtr<Dentry>> resolve_path(int dirfd, std::string_view path, FinalLink final_link) {
  Walker walker;
  QUIRE_CHECK(walker.begin(dirfd, path));
  return walker.resolve(final_link);
}

Result<RefPtr<Dentry>> resolve_at(int dirfd, std::string_view path, std::uint32_t at_flags,
                                  FinalLink links) {
  if (path.empty() && (at_flags & AT_EMPTY_PATH) != 0) {
    if (dirfd == AT_FDCWD) return start_of(dirfd);
    QUIRE_TRY(const RefPtr<File> file, current_files().get(dirfd));
    return dentry_of(*file, file->anonymous_name());
  }
  if ((at_flags & AT_SYMLINK_NOFOLLOW) != 0) links = FinalLink::kKeep;
  if ((at_flags & AT_SYMLINK_FOLLOW) != 0) links = FinalLink::kFollow;
  return resolve_path(dirfd, path, links);
}

}  // namespace quire::kernel
