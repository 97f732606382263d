#include "fs/dentry.h"

#include <sys/stat.h>

#include <array>

#include "fs/release_chain.h"

namespace quire::kernel {

Dentry::Dentry(std::string_view name, RefPtr<Dentry> parent, Mount* mount, RefPtr<Inode> inode,
               std::uint32_t type)
    : name_(name),
      parent_(std::move(parent)),
      mount_(mount),
      inode_(std::move(inode)),
      type_(type) {}

Dentry::~Dentry() {
  inode_ = nullptr;  // before the parents' inodes, which it may keep
  // A parent whose only reference is ours is out of the cache: nobody can find it any more.
  release_chain(std::move(parent_), [](Dentry& above) { return std::move(above.parent_); });
}

bool Dentry::is_directory() const { return type_ == S_IFDIR; }
bool Dentry::is_regular() const { return type_ == S_IFREG; }
bool Dentry::is_symlink() const { return type_ == S_IFLNK; }

class DentryCache::Releases {
 public:
  static constexpr std::size_t kCapacity = 64;
  /// Takes over the cache's reference to `dentry`.
  void take(Dentry& dentry) { dentries_[count_++] = adopt_ref(&dentry); }
  [[nodiscard]] bool full() const { return count_ == kCapacity; }

 private:
  std::array<RefPtr<Dentry>, kCapacity> dentries_;
  std::size_t count_ = 0;
};

DentryCache& dentry_cache() {
  static DentryCache& cache =
      *new DentryCache;  // never destroyed: no exit-time destructors in the kernel
  return cache;
}

void DentryCache::insert_locked(Dentry& dentry) {
  dentry.ref();
  dentry.is_cached_ = true;
  dentry.is_unlinked_ = false;
  if (dentry.parent_) dentry.parent_->children_.insert(dentry);
  eviction_.push_back(dentry);
  ++count_;
}

void DentryCache::erase_locked(Dentry& dentry, Releases& releases) {
  if (!dentry.is_cached_) return;
  dentry.is_cached_ = false;
  if (dentry.parent_)
    dentry.parent_->children_.erase(dentry.parent_->children_.iterator_to(dentry));
  eviction_.erase(eviction_.iterator_to(dentry));
  --count_;
  releases.take(dentry);
}

RefPtr<Dentry> DentryCache::find(Dentry& parent, std::string_view name) {
  Guard guard(lock_);
  const auto it = parent.children_.find(name);
  if (it == parent.children_.end()) return nullptr;
  it->was_used_ = true;
  return RefPtr<Dentry>(&*it);
}

RefPtr<Dentry> DentryCache::add(RefPtr<Dentry> dentry) {
  bool is_full = false;
  {
    Releases releases;
    Guard guard(lock_);
    const auto it = dentry->parent_->children_.find(std::string_view(dentry->name_));
    if (it != dentry->parent_->children_.end()) {
      if (!it->is_negative() || dentry->is_negative()) return RefPtr<Dentry>(&*it);
      erase_locked(*it, releases);
    }
    insert_locked(*dentry);
    is_full = count_ > capacity_;
  }
  if (is_full) evict();
  return dentry;
}

void DentryCache::remove(Dentry& dentry, Why why) {
  Releases releases;
  Guard guard(lock_);
  if (why == Why::kUnlinked) dentry.is_unlinked_ = true;
  erase_locked(dentry, releases);
}

void DentryCache::move(Dentry& dentry, Dentry& new_parent, std::string_view name) {
  Releases releases;
  RefPtr<Dentry> old_parent;
  RefPtr<Dentry> keep(&dentry);
  std::string new_name(name);
  Guard guard(lock_);
  const auto target = new_parent.children_.find(name);
  if (target != new_parent.children_.end()) {
    target->is_unlinked_ = true;
    erase_locked(*target, releases);
  }
  erase_locked(dentry, releases);
  old_parent = std::exchange(dentry.parent_, RefPtr<Dentry>(&new_parent));
  dentry.name_.swap(new_name);
  insert_locked(dentry);
}

void DentryCache::exchange(Dentry& a, Dentry& b) {
  Releases releases;
  Guard guard(lock_);
  erase_locked(a, releases);
  erase_locked(b, releases);
  std::swap(a.parent_, b.parent_);
  a.name_.swap(b.name_);
  insert_locked(a);
  insert_locked(b);
}

void DentryCache::cover(Dentry& mount_point, RefPtr<Dentry> root) {
  Releases releases;
  Guard guard(lock_);
  erase_locked(mount_point, releases);
  root->is_mount_root_ = true;
  insert_locked(*root);
}

std::size_t DentryCache::evict_some_locked(Releases& releases, std::size_t looks) {
  std::size_t evicted = 0;
  for (; looks > 0 && count_ > 0 && !releases.full(); --looks) {
    Dentry& candidate = eviction_.front();
    const bool in_use = candidate.ref_count() != 1 || !candidate.children_.empty();
    if (in_use || candidate.was_used_) {
      candidate.was_used_ = false;
      eviction_.splice(eviction_.end(), eviction_, eviction_.begin());
      continue;
    }
    erase_locked(candidate, releases);
    ++evicted;
  }
  return evicted;
}

void DentryCache::evict() {
  // A few looks for each name that is added: everything may be in use, and a long search under the
  // lock is worse than a cache too large.
  constexpr std::size_t kLooks = 8;
  Releases releases;
  Guard guard(lock_);
  if (count_ > capacity_) evict_some_locked(releases, kLooks);
}

void DentryCache::drop_idle() {
  // One round only clears the marks of recent use; leaves go first, then what they were in.
  for (unsigned idle_rounds = 0; idle_rounds < 2;) {
    Releases releases;
    Guard guard(lock_);
    idle_rounds = evict_some_locked(releases, count_) == 0 ? idle_rounds + 1 : 0;
  }
}

void DentryCache::clear() {
  for (;;) {
    Releases releases;
    Guard guard(lock_);
    if (eviction_.empty()) return;
    for (std::size_t i = 0; i < Releases::kCapacity && !eviction_.empty(); ++i)
      erase_locked(eviction_.front(), releases);
  }
}

RefPtr<Dentry> DentryCache::parent(Dentry& dentry) {
  Guard guard(lock_);
  return dentry.parent_;
}

std::string DentryCache::name(Dentry& dentry) {
  Guard guard(lock_);
  return dentry.name_;
}

bool DentryCache::is_unlinked(Dentry& dentry) {
  Guard guard(lock_);
  return dentry.is_unlinked_;
}

bool DentryCache::is_below(Dentry& dentry, Dentry& above) {
  Guard guard(lock_);
  for (Dentry* d = &dentry; d != nullptr; d = d->parent_.get()) {
    if (d == &above) return true;
  }
  return false;
}

std::string DentryCache::path(Dentry& dentry, Dentry* root, bool& reached) {
  std::string path;
  Guard guard(lock_);
  reached = root == nullptr;
  std::size_t length = 0;
  Dentry* top = nullptr;
  for (Dentry* d = &dentry; d->parent_; d = d->parent_.get()) {
    if (d == root) {
      top = d;
      break;
    }
    length += d->name_.size() + 1;
  }
  path.resize(length);
  Dentry* d = &dentry;
  for (std::size_t end = length; d != top && d->parent_; d = d->parent_.get()) {
    end -= d->name_.size();
    d->name_.copy(path.data() + end, d->name_.size());
    path[--end] = '/';
  }
  reached = reached || d == root;
  if (path.empty()) path.push_back('/');
  return path;
}

}  // namespace quire::kernel
