// epoll: a set of watched files, and those of them that may be ready.
//
// Life cycle: an Epoll is an open file. It has an EpollItem per watched (file, descriptor); the item listens on the file's queues from
// epoll_ctl(2) on, and puts itself on the epoll's ready list when it is told of an event. epoll_wait(2) asks each file on that list what
// is so now, reports it, and puts back what is watched by level. An item does not keep its file: it goes when the file's last descriptor
// is closed (leave_epolls()), with the epoll, or by epoll_ctl.
//
// Locks: `links` (one for all epolls, outermost) over which items there are, of epolls and of files; an epoll's `mutex_` over its items and
// a harvest, an epoll that watches before one that is watched; `ready_lock_` over the ready list, which interrupts use. Behaviour: man7
// epoll(7), epoll_ctl(2), epoll_wait(2); Linux v6.12 fs/eventpoll.c.
#pragma once

#include <linux/eventpoll.h>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <utility>

#include "fs/vfs.h"
#include "mm/uaccess.h"
#include "sched/wait.h"
#include "sync/lock.h"

namespace quire::kernel {

class Epoll;

/// struct epoll_event as the kernel's ABI packs it.
struct [[gnu::packed]] EpollEvent {
  std::uint32_t events;
  std::uint64_t data;
};

struct EpollItem final : public Listener {
  using Key = std::pair<File*, int>;
  EpollItem(Epoll& its_owner, File& its_file, int descriptor, const EpollEvent& event);
  ~EpollItem() { stop(); }
  /// Afterwards nobody puts it on the ready list any more.
  void stop() { leave(PassOn::kNo); }
  bool on_wake(std::uint32_t happened) override;

  Epoll& owner;
  const Key key;
  EpollEvent wanted;
  bool is_ready = false;  ///< on the ready list
  EpollItem *next_of_file = nullptr, *previous_of_file = nullptr;
  boost::intrusive::set_member_hook<> item_hook;
  boost::intrusive::list_member_hook<> ready_hook;
};

class Epoll final : public File {
 public:
  Epoll();
  /// Errors: EEXIST, ENOENT, EPERM, EINVAL, ELOOP, EBADF.
  Result<void> add(File& file, int fd, EpollEvent event);
  Result<void> modify(File& file, int fd, EpollEvent event);
  Result<void> remove(File& file, int fd);
  /// Waits for events and writes up to `most` to user memory. Errors: EFAULT, EINTR.
  Result<std::int64_t> wait(UserAddr to, std::uint32_t most, Deadline deadline);

  PollMask poll(Listener* listener) override;
  [[nodiscard]] bool can_poll() const override { return true; }
  [[nodiscard]] FileKind kind() const override { return FileKind::kEpoll; }
  [[nodiscard]] std::string anonymous_name() const override { return "anon_inode:[eventpoll]"; }

 protected:
  ~Epoll() override;

 private:
  friend struct EpollItem;
  friend void leave_epolls(File& file);
  struct KeyOf {
    using type = EpollItem::Key;
    const type& operator()(const EpollItem& item) const { return item.key; }
  };
  using Items =
      boost::intrusive::set<EpollItem, boost::intrusive::member_hook<EpollItem, boost::intrusive::set_member_hook<>, &EpollItem::item_hook>,
                            boost::intrusive::key_of_value<KeyOf>>;
  using ReadyList =
      boost::intrusive::list<EpollItem,
                             boost::intrusive::member_hook<EpollItem, boost::intrusive::list_member_hook<>, &EpollItem::ready_hook>>;

  void make_ready(EpollItem& item);
  [[nodiscard]] EpollItem* take_ready();
  /// Takes an item off all lists but its file's, which its caller has done. Locks: `links`.
  void forget(EpollItem& item);
  /// What of an item's events is so now.
  [[nodiscard]] static PollMask look(EpollItem& item);
  [[nodiscard]] bool has_ready();
  Result<std::int64_t> harvest(UserAddr to, std::uint32_t most);
  /// Locks: `links`. How many epolls are below this one, or too many if `source` is one of them.
  [[nodiscard]] unsigned depth_below(const Epoll& source, unsigned budget);
  [[nodiscard]] unsigned depth_above(unsigned budget) const;

  Mutex mutex_;
  Items items_;
  IrqSpinLock ready_lock_;
  ReadyList ready_;
  WaitQueue waiters_;  ///< in wait()
  WaitQueue pollers_;  ///< who polls this epoll
};

/// Takes a file that has no descriptors left out of every epoll.
void leave_epolls(File& file);

}  // namespace quire::kernel
