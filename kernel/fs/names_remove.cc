#include <linux/fs.h>
#include <sys/stat.h>

#include <optional>

#include "fs/lookup.h"
#include "fs/mount.h"
#include "fs/names.h"
#include "fs/notify.h"
#include "fs/permission.h"
#include "fs/walk.h"

namespace quire::kernel {
namespace {

/// In a sticky directory only the owner of the file or of the directory removes. Linux v6.12
/// fs/namei.c:__check_sticky().
Result<void> check_sticky(Dentry& parent, Dentry& victim, const Identity& who) {
  if (who.can(CAP_FOWNER)) return {};
  QUIRE_TRY(const Attributes directory, parent.inode()->attributes());
  if ((directory.mode & S_ISVTX) == 0 || directory.uid == who.uid) return {};
  QUIRE_TRY(const Attributes file, victim.inode()->attributes());
  if (file.uid != who.uid) return fail(Errno::kPerm);
  return {};
}

enum class Kind : std::uint8_t { kDirectory, kOther };

/// Errors: EACCES, EPERM, ENOTDIR, EISDIR, EBUSY.
Result<void> may_delete(Dentry& parent, Dentry& victim, Kind wanted, const Identity& who) {
  QUIRE_CHECK(check_access(*parent.inode(), parent.type(), kMayWrite | kMayExecute, who));
  QUIRE_CHECK(check_sticky(parent, victim, who));
  if (wanted == Kind::kDirectory && !victim.is_directory()) return fail(Errno::kNotDir);
  if (victim.is_mount_root()) return fail(Errno::kBusy);
  if (wanted == Kind::kOther && victim.is_directory()) return fail(Errno::kIsDir);
  return {};
}

Kind kind_of(const Dentry& dentry) {
  return dentry.is_directory() ? Kind::kDirectory : Kind::kOther;
}

/// A walk to the directory of a name.
struct Place {
  Walker walker;
  Result<void> find(PathAt at) {
    QUIRE_CHECK(walker.begin(at.dirfd, at.path));
    return walker.to_parent();
  }
  [[nodiscard]] Dentry& parent() const { return walker.at(); }
  [[nodiscard]] Inode& directory() const { return *walker.at().inode(); }
};

/// Two directories' mutexes, or one.
class TwoDirectories {
 public:
  TwoDirectories(Dentry& a, Dentry& b) : upper_(&a), lower_(&b) {
    if (&a == &b) {
      lower_ = nullptr;
    } else {
      static Mutex between_directories;
      rename_lock_.emplace(between_directories);
      DentryCache& cache = dentry_cache();
      // The upper one first; those that are not above each other by address.
      if (cache.is_below(a, b) || (!cache.is_below(b, a) && std::less<Dentry*>()(&b, &a)))
        std::swap(upper_, lower_);
    }
    upper_->inode()->mutex.lock();
    if (lower_ != nullptr) lower_->inode()->mutex.lock();
  }
  ~TwoDirectories() {
    if (lower_ != nullptr) lower_->inode()->mutex.unlock();
    upper_->inode()->mutex.unlock();
  }
  TwoDirectories(const TwoDirectories&) = delete;
  TwoDirectories& operator=(const TwoDirectories&) = delete;

 private:
  std::optional<Guard<Mutex>> rename_lock_;
  Dentry* upper_;
  Dentry* lower_;
};

/// Both names of a rename, once they are looked up.
struct Rename {
  Place& from;
  Place& to;
  RefPtr<Dentry> source, target;
  std::uint32_t flags;
  [[nodiscard]] bool exchanges() const { return (flags & RENAME_EXCHANGE) != 0; }
};

/// The checks that need no permissions. Linux v6.12 fs/namei.c:do_renameat2().
Result<void> check_names(const Rename& r) {
  if ((r.flags & RENAME_NOREPLACE) != 0 && !r.target->is_negative()) return fail(Errno::kExist);
  if (r.exchanges()) {
    if (r.target->is_negative()) return fail(Errno::kNoEnt);
    if (!r.target->is_directory() && r.to.walker.has_trailing_slash()) return fail(Errno::kNotDir);
  }
  if (!r.source->is_directory()) {
    if (r.from.walker.has_trailing_slash()) return fail(Errno::kNotDir);
    if (!r.exchanges() && r.to.walker.has_trailing_slash()) return fail(Errno::kNotDir);
  }
  if (dentry_cache().is_below(r.to.parent(), *r.source)) return fail(Errno::kInval);
  if (!r.target->is_negative() && dentry_cache().is_below(r.from.parent(), *r.target)) {
    return fail(r.exchanges() ? Errno::kInval : Errno::kNotEmpty);
  }
  return {};
}

/// A directory that gets another parent changes its "..".
Result<void> check_reparenting(Dentry& moved, const Identity& who) {
  if (!moved.is_directory()) return {};
  return check_access(*moved.inode(), moved.type(), kMayWrite, who);
}

Result<void> check_permissions(const Rename& r) {
  const Identity& who = r.from.walker.who();
  QUIRE_CHECK(may_delete(r.from.parent(), *r.source, kind_of(*r.source), who));
  if (r.target->is_negative()) {
    QUIRE_CHECK(check_access(r.to.directory(), r.to.parent().type(), kMayWrite | kMayExecute, who));
  } else {
    QUIRE_CHECK(may_delete(r.to.parent(), *r.target,
                           r.exchanges() ? kind_of(*r.target) : kind_of(*r.source), who));
  }
  if (&r.from.directory() == &r.to.directory()) return {};
  QUIRE_CHECK(check_reparenting(*r.source, who));
  return r.exchanges() ? check_reparenting(*r.target, who) : Result<void>();
}

/// `victim` was `name` in `directory`.
void notify_of_removal(Inode& directory, std::string_view name, Dentry& victim) {
  if (!anybody_watches()) return;
  notify_watchers_of_unlink(victim);
  notify_watchers_of_name(directory, IN_DELETE, name, victim.type(), 0);
}

/// `moved` has gone from one place to the other.
void notify_of_move(Place& from, Place& to, Dentry& moved) {
  const std::uint32_t cookie = next_move_cookie();
  notify_watchers_of_name(from.directory(), IN_MOVED_FROM, from.walker.last(), moved.type(), cookie);
  notify_watchers_of_name(to.directory(), IN_MOVED_TO, to.walker.last(), moved.type(), cookie);
}

void notify_of_rename(const Rename& r) {
  if (!anybody_watches()) return;
  notify_of_move(r.from, r.to, *r.source);
  if (r.exchanges()) {
    notify_watchers_of_inode(*r.source, IN_MOVE_SELF);
    notify_of_move(r.to, r.from, *r.target);
    notify_watchers_of_inode(*r.target, IN_MOVE_SELF);
    return;
  }
  if (!r.target->is_negative()) notify_watchers_of_unlink(*r.target);
  notify_watchers_of_inode(*r.source, IN_MOVE_SELF);
}

Result<void> do_rename(const Rename& r) {
  QUIRE_CHECK(r.source->inode()->before_rename());
  const bool replaces = !r.target->is_negative();
  if (replaces) QUIRE_CHECK(r.target->inode()->before_rename());
  // A directory that is replaced must not get new names meanwhile.
  std::optional<Guard<Mutex>> replaced;
  if (replaces && r.target->is_directory() && !r.exchanges())
    replaced.emplace(r.target->inode()->mutex);
  QUIRE_CHECK(r.from.directory().rename(r.from.walker.last(), r.to.directory(), r.to.walker.last(),
                                        r.flags));
  if (r.exchanges()) {
    dentry_cache().exchange(*r.source, *r.target);
  } else {
    dentry_cache().move(*r.source, r.to.parent(), r.to.walker.last());
  }
  notify_of_rename(r);
  return {};
}

}  // namespace

Result<void> unlink_name(PathAt at) {
  Place place;
  QUIRE_CHECK(place.find(at));
  if (place.walker.last_kind() != LastName::kNormal) return fail(Errno::kIsDir);
  Guard guard(place.directory().mutex);
  QUIRE_TRY(const RefPtr<Dentry> victim, lookup_locked(place.parent(), place.walker.last()));
  if (victim->is_negative()) return fail(Errno::kNoEnt);
  if (place.walker.has_trailing_slash())
    return fail(victim->is_directory() ? Errno::kIsDir : Errno::kNotDir);
  if (place.parent().mount()->is_read_only()) return fail(Errno::kRoFs);
  QUIRE_CHECK(may_delete(place.parent(), *victim, Kind::kOther, place.walker.who()));
  QUIRE_CHECK(victim->inode()->before_rename());
  QUIRE_CHECK(place.directory().unlink(place.walker.last()));
  dentry_cache().remove(*victim, DentryCache::Why::kUnlinked);
  notify_of_removal(place.directory(), place.walker.last(), *victim);
  return {};
}

Result<void> remove_directory(PathAt at) {
  Place place;
  QUIRE_CHECK(place.find(at));
  switch (place.walker.last_kind()) {
    case LastName::kDotDot:
      return fail(Errno::kNotEmpty);
    case LastName::kDot:
      return fail(Errno::kInval);
    case LastName::kNone:
      return fail(Errno::kBusy);
    case LastName::kNormal:
      break;
  }
  Guard guard(place.directory().mutex);
  QUIRE_TRY(const RefPtr<Dentry> victim, lookup_locked(place.parent(), place.walker.last()));
  if (victim->is_negative()) return fail(Errno::kNoEnt);
  if (place.parent().mount()->is_read_only()) return fail(Errno::kRoFs);
  QUIRE_CHECK(may_delete(place.parent(), *victim, Kind::kDirectory, place.walker.who()));
  QUIRE_CHECK(victim->inode()->before_rename());
  Guard victim_guard(victim->inode()->mutex);
  QUIRE_CHECK(place.directory().rmdir(place.walker.last()));
  dentry_cache().remove(*victim, DentryCache::Why::kUnlinked);
  notify_of_removal(place.directory(), place.walker.last(), *victim);
  return {};
}

Result<void> rename_name(PathAt from_path, PathAt to_path, std::uint32_t flags) {
  if ((flags & ~static_cast<std::uint32_t>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
      flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)) {
    return fail(Errno::kInval);
  }
  Place from, to;
  QUIRE_CHECK(from.find(from_path));
  QUIRE_CHECK(to.find(to_path));
  if (from.parent().mount() != to.parent().mount()) return fail(Errno::kXDev);
  if (from.walker.last_kind() != LastName::kNormal) return fail(Errno::kBusy);
  if (to.walker.last_kind() != LastName::kNormal)
    return fail((flags & RENAME_NOREPLACE) != 0 ? Errno::kExist : Errno::kBusy);
  if (from.parent().mount()->is_read_only()) return fail(Errno::kRoFs);
  TwoDirectories locked(from.parent(), to.parent());
  QUIRE_TRY(RefPtr<Dentry> source, lookup_locked(from.parent(), from.walker.last()));
  if (source->is_negative()) return fail(Errno::kNoEnt);
  QUIRE_TRY(RefPtr<Dentry> target, lookup_locked(to.parent(), to.walker.last()));
  const Rename rename{.from = from,
                      .to = to,
                      .source = std::move(source),
                      .target = std::move(target),
                      .flags = flags};
  QUIRE_CHECK(check_names(rename));
  // Two names of one file: nothing to do, says POSIX.
  if (!rename.target->is_negative() && rename.source->inode() == rename.target->inode()) return {};
  QUIRE_CHECK(check_permissions(rename));
  return do_rename(rename);
}

}  // namespace quire::kernel
