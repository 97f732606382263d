#include "fs/notify.h"

#include <sys/stat.h>

#include "fs/mount.h"

namespace quire::kernel {

constinit Mutex watches_mutex;
constinit std::atomic<std::uint32_t> watch_count{0};

namespace {

struct InodeOf {
  using type = const Inode*;
  type operator()(const Watch& watch) const { return watch.inode(); }
};
using Watches = boost::intrusive::multiset<Watch, boost::intrusive::key_of_value<InodeOf>>;

Watches& all_watches() {
  static Watches& watches = *new Watches;  // never destroyed: files may end after everything else
  return watches;
}

constinit std::atomic<std::uint32_t> last_cookie{0};

/// Linux does not say of directories that they are such when they are moved or deleted themselves (v6.12
/// fs/notify/inotify/inotify_fsnotify.c:inotify_handle_inode_event()).
std::uint32_t flags_of(std::uint32_t type, std::uint32_t event) {
  const bool is_told = type == S_IFDIR && (event & (IN_DELETE_SELF | IN_MOVE_SELF)) == 0;
  return is_told ? std::uint32_t{IN_ISDIR} : 0;
}

struct Event {
  std::uint32_t what, flags, cookie;
  std::string_view name;
  bool is_unlinked;
};

/// Locks: the mutex held.
void tell_watchers_of(const Inode& inode, const Event& event) {
  auto [at, end] = all_watches().equal_range(&inode);
  while (at != end) {
    Watch& watch = *at++;
    if ((watch.events & event.what) == 0 || (event.is_unlinked && watch.skips_unlinked)) continue;
    watch.watcher.on_event(watch, event.what | event.flags, event.cookie, event.name);
    if (watch.ends_at_first) remove_watch(watch);
  }
}

}  // namespace

void add_watch(Watch& watch) {
  all_watches().insert(watch);
  watch_count.fetch_add(1);
}

void remove_watch(Watch& watch) {
  all_watches().erase(all_watches().iterator_to(watch));
  watch_count.fetch_sub(1);
  watch.watcher.on_end(watch);
}

void notify_watchers_of_name(Inode& directory, std::uint32_t event, std::string_view name, std::uint32_t type, std::uint32_t cookie) {
  Guard guard(watches_mutex);
  tell_watchers_of(directory, {event, flags_of(type, event), cookie, name, false});
}

void notify_watchers_of_inode(Dentry& dentry, std::uint32_t event) {
  Guard guard(watches_mutex);
  tell_watchers_of(*dentry.inode(), {event, flags_of(dentry.type(), event), 0, {}, false});
}

void notify_watchers(Dentry& dentry, std::uint32_t event) {
  const std::uint32_t flags = flags_of(dentry.type(), event);
  const RefPtr<Dentry> parent = dentry.mount() == nullptr || dentry.is_mount_root() ? nullptr : dentry_cache().parent(dentry);
  Guard guard(watches_mutex);
  if (parent) tell_watchers_of(*parent->inode(), {event, flags, 0, dentry_cache().name(dentry), dentry_cache().is_unlinked(dentry)});
  tell_watchers_of(*dentry.inode(), {event, flags, 0, {}, false});
}

void notify_watchers_of_unlink(Dentry& dentry) {
  const Result<Attributes> now = dentry.inode()->attributes();
  const bool is_gone = !now || now->links == 0 || dentry.is_directory();
  Guard guard(watches_mutex);
  const Inode& inode = *dentry.inode();
  if (!dentry.is_directory()) tell_watchers_of(inode, {IN_ATTRIB, 0, 0, {}, false});
  if (!is_gone) return;
  tell_watchers_of(inode, {IN_DELETE_SELF, 0, 0, {}, false});
  for (auto at = all_watches().find(&inode); at != all_watches().end(); at = all_watches().find(&inode)) remove_watch(*at);
}

std::uint32_t next_move_cookie() { return ++last_cookie; }

}  // namespace quire::kernel
