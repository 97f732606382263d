// Names in the tree, and the cache of them.
//
// Life cycle: a Dentry is made by a lookup or a creation. While it is the current meaning of its
// name it is in the cache, which holds one reference and lists it among its parent's children;
// unlink, rename over it, or eviction take it out. Whoever holds a reference (open files, working
// directories, walks under way) keeps it and, through `parent`, everything above. A negative dentry
// says that there is no such name. A dentry's inode never changes: creation replaces a negative
// dentry by a new one.
//
// Locks: one spin lock over parents, names, children and the eviction list of all dentries; held
// for searches only, never over a call of an inode. A directory's own mutex (Inode::mutex) is what
// makes "look up, then add" one step; callers of add(), move() … hold it. Dropping a reference may
// sleep (an inode's end may talk to a server), so it is never done under the spin lock.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <string>
#include <string_view>

#include "fs/vfs.h"

namespace quire::kernel {

class Mount;

class Dentry final : public RefCounted {
 public:
  /// A name that is not (yet) in the cache. `type` is the S_IFMT bits, 0 for a negative dentry.
  Dentry(std::string_view name, RefPtr<Dentry> parent, Mount* mount, RefPtr<Inode> inode,
         std::uint32_t type);

  [[nodiscard]] const RefPtr<Inode>& inode() const { return inode_; }
  [[nodiscard]] bool is_negative() const { return !inode_; }
  [[nodiscard]] std::uint32_t type() const { return type_; }
  [[nodiscard]] bool is_directory() const;
  [[nodiscard]] bool is_symlink() const;
  [[nodiscard]] bool is_regular() const;
  /// The mount it lies in; null for anonymous dentries (pipes).
  [[nodiscard]] Mount* mount() const { return mount_; }
  [[nodiscard]] bool is_mount_root() const { return is_mount_root_; }

 private:
  friend class DentryCache;
  friend class MountTable;
  struct ByName {
    using type = std::string_view;
    std::string_view operator()(const Dentry& d) const { return d.name_; }
  };
  using ChildHook = boost::intrusive::set_member_hook<>;
  using EvictionHook = boost::intrusive::list_member_hook<>;

  ~Dentry() override;

  std::string name_;
  RefPtr<Dentry> parent_;  ///< null for the root of all and for anonymous dentries
  Mount* const mount_;
  RefPtr<Inode> inode_;  ///< set once
  const std::uint32_t type_;
  bool is_mount_root_ = false;
  bool is_cached_ = false;
  bool is_unlinked_ = false;
  bool was_used_ = false;  ///< second chance at eviction
  ChildHook child_hook_;
  EvictionHook eviction_hook_;

 public:
  using Children =
      boost::intrusive::set<Dentry,
                            boost::intrusive::member_hook<Dentry, ChildHook, &Dentry::child_hook_>,
                            boost::intrusive::key_of_value<ByName>>;
  using EvictionList = boost::intrusive::list<
      Dentry, boost::intrusive::member_hook<Dentry, EvictionHook, &Dentry::eviction_hook_>>;

 private:
  Children children_;
};

/// The cache. There is one: dentry_cache().
class DentryCache {
 public:
  /// Names kept at most, beyond those in use. Before the cache is used by many.
  void set_capacity(std::size_t names) { capacity_ = names; }

  /// The cached meaning of `name`, perhaps negative, or null.
  RefPtr<Dentry> find(Dentry& parent, std::string_view name);
  /// Makes `dentry` the meaning of its name in its parent and returns it; if a positive one is
  /// there already, returns that.
  RefPtr<Dentry> add(RefPtr<Dentry> dentry);
  /// Takes a name out: it is gone from the file system (unlink, rmdir) if `unlinked`, or only to be
  /// asked for again.
  enum class Why : std::uint8_t { kUnlinked, kStale };
  void remove(Dentry& dentry, Why why);
  /// `dentry` is now called `name` in `new_parent`; what had that name before is unlinked.
  void move(Dentry& dentry, Dentry& new_parent, std::string_view name);
  /// Two names have changed places.
  void exchange(Dentry& a, Dentry& b);
  /// Puts `root`, which carries the same name and parent, in the place of `mount_point`, for good.
  void cover(Dentry& mount_point, RefPtr<Dentry> root);
  /// Forgets what nobody holds.
  void drop_idle();
  /// Forgets everything, at the end.
  void clear();

  RefPtr<Dentry> parent(Dentry& dentry);
  std::string name(Dentry& dentry);
  bool is_unlinked(Dentry& dentry);
  /// Whether `above` is `dentry` or one of its parents.
  bool is_below(Dentry& dentry, Dentry& above);
  /// The path from `root` (null: from the root of all). `reached` tells whether `root` is above; if
  /// not the path is from the root of all.
  std::string path(Dentry& dentry, Dentry* root, bool& reached);
  [[nodiscard]] std::size_t size() const { return count_; }

 private:
  /// References to be dropped after unlocking.
  class Releases;
  void insert_locked(Dentry& dentry);
  void erase_locked(Dentry& dentry, Releases& releases);
  void evict();
  /// Evicts what it can among the next `looks` candidates, as far as `releases` has room; returns
  /// how many went.
  std::size_t evict_some_locked(Releases& releases, std::size_t looks);

  SpinLock lock_;
  Dentry::EvictionList eviction_;
  std::size_t count_ = 0;
  std::size_t capacity_ = 16384;
};

DentryCache& dentry_cache();

}  // namespace quire::kernel
