// Who watches what happens to files and names: what file system operations tell, and inotify hears (man7 inotify(7)).
//
// Life cycle of a Watch: on one inode, for one Watcher; it holds the name by which the inode was found, so that it stays the one that
// others find. Ends with its Watcher, when the inode has lost its last name, or after the first event if that is all that was asked for.
// Locks: one mutex, inside those of inodes, guards all watches and what watchers keep of events. While nobody watches anything, telling
// costs a look at a counter.
#pragma once

#include <linux/inotify.h>

#include <boost/intrusive/set.hpp>
#include <string_view>

#include "fs/dentry.h"

namespace quire::kernel {

class Watch;

/// Hears of events. Calls come with the watches' mutex held.
class Watcher {
 public:
  virtual void on_event(const Watch& watch, std::uint32_t event, std::uint32_t cookie, std::string_view name) = 0;
  /// `watch` is no more: it may be deleted.
  virtual void on_end(Watch& watch) = 0;

 protected:
  ~Watcher() = default;
};

class Watch : public boost::intrusive::set_base_hook<> {
 public:
  Watch(Watcher& owner, std::int32_t number, RefPtr<Dentry> place) : watcher(owner), id(number), place_(std::move(place)) {}
  [[nodiscard]] const Inode* inode() const { return place_->inode().get(); }

  Watcher& watcher;
  const std::int32_t id;
  std::uint32_t events = 0;    ///< IN_*
  bool ends_at_first = false;  ///< IN_ONESHOT
  bool skips_unlinked = false; ///< IN_EXCL_UNLINK

 private:
  const RefPtr<Dentry> place_;
};

extern Mutex watches_mutex;
extern std::atomic<std::uint32_t> watch_count;
/// Pre of both: the mutex is held.
void add_watch(Watch& watch);
void remove_watch(Watch& watch);

/// Something happened to what `dentry` names: tells who watches it, and who watches the directory that it is in.
void notify_watchers(Dentry& dentry, std::uint32_t event);
/// Something happened to a name in `directory`. `type`: S_IFMT bits of what it names.
void notify_watchers_of_name(Inode& directory, std::uint32_t event, std::string_view name, std::uint32_t type, std::uint32_t cookie);
/// Something happened to the inode itself.
void notify_watchers_of_inode(Dentry& dentry, std::uint32_t event);
/// A name of `dentry`'s inode is gone, perhaps the last.
void notify_watchers_of_unlink(Dentry& dentry);
/// A number that ties the two ends of a rename together.
std::uint32_t next_move_cookie();

[[nodiscard]] inline bool anybody_watches() { return watch_count.load(std::memory_order_relaxed) != 0; }
inline void notify(Dentry& dentry, std::uint32_t event) {
  if (anybody_watches()) [[unlikely]] notify_watchers(dentry, event);
}
/// The same for an open file, if it has a name.
inline void notify(const File& file, std::uint32_t event) {
  if (anybody_watches() && file.dentry) [[unlikely]] notify_watchers(*file.dentry, event);
}
inline void notify_name(Inode& directory, std::uint32_t event, std::string_view name, std::uint32_t type) {
  if (anybody_watches()) [[unlikely]] notify_watchers_of_name(directory, event, name, type, 0);
}

}  // namespace quire::kernel
