// Paths: from a string to a name in the tree.
//
// A Walker stands in a directory and has a path before it. to_parent() goes through all components
// but the last, following symbolic links on the way; then the last name can be looked up, created,
// or, if it is a link, followed: the walker then stands before the rest again. Everything that
// takes a path is built from these steps; resolve() is the whole walk.
//
// Linux v6.12 fs/namei.c: path_lookupat(), link_path_walk(), path_openat(). man7
// path_resolution(7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fs/dentry.h"
#include "fs/permission.h"

namespace quire::kernel {

/// What to do with a symbolic link as the last component.
enum class FinalLink : std::uint8_t { kFollow, kKeep };

/// What the path's last component is.
enum class LastName : std::uint8_t {
  kNormal,
  kDot,
  kDotDot,
  kNone,  ///< nothing is left: the path was "/", or a link such as /proc/self/fd/1 ended it
};

class Walker {
 public:
  static constexpr unsigned kMaxLinks = 40;  // Linux: MAXSYMLINKS

  explicit Walker(const Identity& who = filesystem_identity()) : who_(who) {}

  /// RESOLVE_* of openat2(2), before begin(). Errors: EINVAL.
  Result<void> restrict_to(std::uint64_t resolve);
  /// Puts `path` before the walker, which stands where `dirfd` says (a descriptor of the current
  /// task, or AT_FDCWD). Errors: ENOENT (empty path), EBADF, ENOTDIR.
  Result<void> begin(int dirfd, std::string_view path);
  /// The same from a directory given as such, with an explicit root.
  Result<void> begin(RefPtr<Dentry> start, RefPtr<Dentry> root, std::string_view path);

  /// Goes to the directory of the last component. Errors: ENOENT, ENOTDIR, EACCES, ELOOP,
  /// ENAMETOOLONG, EXDEV (openat2), I/O.
  Result<void> to_parent();
  [[nodiscard]] Dentry& at() const { return *at_; }
  [[nodiscard]] RefPtr<Dentry> at_ref() const { return at_; }
  [[nodiscard]] LastName last_kind() const { return last_kind_; }
  [[nodiscard]] std::string_view last() const {
    return std::string_view(path_).substr(begin_, end_ - begin_);
  }
  [[nodiscard]] bool has_trailing_slash() const { return end_ != path_.size(); }
  [[nodiscard]] const Identity& who() const { return who_; }

  /// The last component's meaning; negative if it is kNormal and there is none.
  Result<RefPtr<Dentry>> lookup_last();
  /// Takes the link that lookup_last() returned: its target is now before the walker.
  Result<void> follow(Dentry& link);

  /// The whole walk. Errors: as to_parent(); ENOENT if the last name does not exist.
  Result<RefPtr<Dentry>> resolve(FinalLink final_link);

 private:
  [[nodiscard]] std::string_view component_at(std::size_t begin) const;
  Result<void> check_search();
  Result<RefPtr<Dentry>> up();
  Result<void> go_to_root();
  Result<RefPtr<Dentry>> lookup_component();
  Result<void> enter(RefPtr<Dentry> child);

  Identity who_;
  RefPtr<Dentry> root_, at_;
  std::string path_;
  std::size_t begin_ = 0, end_ = 0;  ///< the component before the walker
  LastName last_kind_ = LastName::kNone;
  unsigned links_ = 0;
  std::uint64_t resolve_ = 0;
};

/// The whole walk from `dirfd`.
Result<RefPtr<Dentry>> resolve_path(int dirfd, std::string_view path, FinalLink final_link);
/// As above with the AT_* flags of the *at() calls: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW,
/// AT_SYMLINK_FOLLOW, AT_NO_AUTOMOUNT. `links` is what happens to a final link if no flag speaks of
/// it.
Result<RefPtr<Dentry>> resolve_at(int dirfd, std::string_view path, std::uint32_t at_flags,
                                  FinalLink links);

}  // namespace quire::kernel
