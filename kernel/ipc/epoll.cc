#include "ipc/epoll.h"

#include <linux/fcntl.h>
#include <linux/poll.h>

#include <algorithm>
#include <memory>

#include "fs/dentry.h"
#include "ipc/anonymous_inode.h"
#include "syscall/syscall.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

/// Which items there are: of all epolls, and of all files.
constinit Mutex links;

/// Bits that are about the watching, not events. Linux v6.12 fs/eventpoll.c: EP_PRIVATE_BITS.
constexpr std::uint32_t kPrivateBits = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
constexpr std::uint32_t kExclusiveBits = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
/// Epolls in a chain, at most: a wake-up goes through them on one stack. As far as Linux goes (EP_MAX_NESTS below what is added).
constexpr unsigned kMostNested = 6;

}  // namespace

EpollItem::EpollItem(Epoll& its_owner, File& its_file, int descriptor, const EpollEvent& event)
    : Listener((event.events & EPOLLEXCLUSIVE) != 0 ? Exclusive::kYes : Exclusive::kNo),
      owner(its_owner),
      key(&its_file, descriptor),
      wanted(event) {}

bool EpollItem::on_wake(std::uint32_t happened) {
  const std::uint32_t events = __atomic_load_n(&wanted.events, __ATOMIC_RELAXED);
  if ((events & ~kPrivateBits) == 0) return false;  // a one-shot that has fired
  if (happened != 0 && (happened & events) == 0) return false;
  const bool somebody_waits = owner.waiters_.has_waiters();
  owner.make_ready(*this);
  return somebody_waits;
}

Epoll::Epoll() {
  const Credentials& user = current_credentials();
  inode = make_ref<AnonymousInode>(0600U, user.fsuid, user.fsgid);
  flags = O_RDWR;
}

void Epoll::make_ready(EpollItem& item) {
  {
    const Guard guard(ready_lock_);
    if (item.is_ready) return;
    item.is_ready = true;
    ready_.push_back(item);
  }
  waiters_.wake_one();
  pollers_.wake_all(POLLIN | POLLRDNORM);
}

EpollItem* Epoll::take_ready() {
  const Guard guard(ready_lock_);
  if (ready_.empty()) return nullptr;
  EpollItem& item = ready_.front();
  ready_.pop_front();
  item.is_ready = false;
  return &item;
}

void Epoll::forget(EpollItem& item) {
  const std::unique_ptr<EpollItem> owned(&item);
  const Guard guard(mutex_);
  items_.erase(items_.iterator_to(item));
  item.stop();
  const Guard ready_guard(ready_lock_);
  if (item.is_ready) ready_.erase(ready_.iterator_to(item));
}

PollMask Epoll::look(EpollItem& item) { return item.key.first->poll(nullptr) & item.wanted.events; }

unsigned Epoll::depth_below(const Epoll& source, unsigned budget) {
  if (this == &source || budget == 0) return kMostNested + 1;
  unsigned deepest = 0;
  for (const EpollItem& item : items_) {
    if (item.key.first->kind() != FileKind::kEpoll) continue;
    Epoll& below = static_cast<Epoll&>(*item.key.first);
    deepest = std::max(deepest, 1 + below.depth_below(source, budget - 1));
  }
  return deepest;
}

unsigned Epoll::depth_above(unsigned budget) const {
  if (budget == 0) return kMostNested + 1;
  unsigned highest = 0;
  for (const EpollItem* item = epoll_items.load(); item != nullptr; item = item->next_of_file)
    highest = std::max(highest, 1 + item->owner.depth_above(budget - 1));
  return highest;
}

Result<void> Epoll::add(File& file, int fd, EpollEvent event) {
  if (!file.can_poll()) return fail(Errno::kPerm);
  if (&file == this) return fail(Errno::kInval);
  const bool is_epoll = file.kind() == FileKind::kEpoll;
  const std::uint32_t asked = event.events;
  if ((asked & EPOLLEXCLUSIVE) != 0 && (is_epoll || (asked & ~kExclusiveBits) != 0)) return fail(Errno::kInval);
  event.events = asked | EPOLLERR | EPOLLHUP;
  auto fresh = std::make_unique<EpollItem>(*this, file, fd, event);
  const Guard guard(links);
  if (is_epoll) {
    const unsigned below = static_cast<Epoll&>(file).depth_below(*this, kMostNested);
    if (below + depth_above(kMostNested) + 1 > kMostNested) return fail(Errno::kLoop);
  }
  const Guard own_guard(mutex_);
  if (items_.find(fresh->key) != items_.end()) return fail(Errno::kExist);
  // Another thread may be closing it: what leave_epolls() does not see here must not come.
  if (file.descriptors.load() == 0) return fail(Errno::kBadF);
  EpollItem& item = *fresh.release();
  items_.insert(item);
  item.next_of_file = file.epoll_items.load();
  if (item.next_of_file != nullptr) item.next_of_file->previous_of_file = &item;
  file.epoll_items.store(&item);
  if ((file.poll(&item) & item.wanted.events) != 0) make_ready(item);
  return {};
}

Result<void> Epoll::modify(File& file, int fd, EpollEvent event) {
  if (!file.can_poll()) return fail(Errno::kPerm);
  if (&file == this || (event.events & EPOLLEXCLUSIVE) != 0) return fail(Errno::kInval);
  const Guard guard(links);
  const Guard own_guard(mutex_);
  const auto found = items_.find(EpollItem::Key(&file, fd));
  if (found == items_.end()) return fail(Errno::kNoEnt);
  EpollItem& item = *found;
  if ((item.wanted.events & EPOLLEXCLUSIVE) != 0) return fail(Errno::kInval);
  item.wanted.data = event.data;
  __atomic_store_n(&item.wanted.events, event.events | EPOLLERR | EPOLLHUP, __ATOMIC_SEQ_CST);
  if (look(item) != 0) make_ready(item);
  return {};
}

namespace {

void take_from_file(EpollItem& item) {
  if (item.next_of_file != nullptr) item.next_of_file->previous_of_file = item.previous_of_file;
  if (item.previous_of_file != nullptr) {
    item.previous_of_file->next_of_file = item.next_of_file;
  } else {
    item.key.first->epoll_items.store(item.next_of_file);
  }
}

}  // namespace

Result<void> Epoll::remove(File& file, int fd) {
  if (!file.can_poll()) return fail(Errno::kPerm);
  if (&file == this) return fail(Errno::kInval);
  const Guard guard(links);
  const auto found = items_.find(EpollItem::Key(&file, fd));
  if (found == items_.end()) return fail(Errno::kNoEnt);
  take_from_file(*found);
  forget(*found);
  return {};
}

Epoll::~Epoll() {
  const Guard guard(links);
  while (!items_.empty()) {
    EpollItem& item = *items_.begin();
    take_from_file(item);
    forget(item);
  }
}

void leave_epolls(File& file) {
  const Guard guard(links);
  while (EpollItem* const item = file.epoll_items.load()) {
    take_from_file(*item);
    item->owner.forget(*item);
  }
}

bool Epoll::has_ready() {
  const Guard guard(ready_lock_);
  return !ready_.empty();
}

PollMask Epoll::poll(Listener* listener) {
  if (listener != nullptr) listener->add(pollers_);
  if (!has_ready()) return 0;
  const Guard guard(mutex_);
  while (EpollItem* const item = take_ready()) {
    if (look(*item) == 0) continue;
    const Guard ready_guard(ready_lock_);
    if (!item->is_ready) ready_.push_front(*item);
    item->is_ready = true;
    return POLLIN | POLLRDNORM;
  }
  return 0;
}

Result<std::int64_t> Epoll::harvest(UserAddr to, std::uint32_t most) {
  ReadyList again;  // by level: for the next round
  std::int64_t found = 0;
  bool bad_address = false;
  const Guard guard(mutex_);
  while (found < most && !bad_address) {
    EpollItem* const item = take_ready();
    if (item == nullptr) break;
    const PollMask events = look(*item);
    if (events == 0) continue;
    const EpollEvent event{events, item->wanted.data};
    bad_address = !put_user(to + static_cast<std::uint64_t>(found) * sizeof event, event);
    if (!bad_address) {
      ++found;
      if ((item->wanted.events & EPOLLONESHOT) != 0) {
        __atomic_store_n(&item->wanted.events, item->wanted.events & kPrivateBits, __ATOMIC_SEQ_CST);
        continue;
      }
      if ((item->wanted.events & EPOLLET) != 0) continue;
    }
    const Guard ready_guard(ready_lock_);
    if (item->is_ready) continue;  // told again meanwhile
    item->is_ready = true;
    again.push_back(*item);
  }
  const Guard ready_guard(ready_lock_);
  ready_.splice(ready_.end(), again);
  if (found == 0 && bad_address) return fail(Errno::kFault);
  return found;
}

Result<std::int64_t> Epoll::wait(UserAddr to, std::uint32_t most, Deadline deadline) {
  Sleeper sleeper;
  bool enqueued = false;
  for (;;) {
    if (has_ready()) {
      QUIRE_TRY(const std::int64_t found, harvest(to, most));
      if (found != 0) {
        if (has_ready()) waiters_.wake_one();
        return found;
      }
    }
    if (!enqueued) {
      enqueued = true;
      sleeper.add(waiters_);
      continue;
    }
    switch (sleeper.sleep(Interruptible::kYes, deadline)) {
      case WaitResult::kDone:
        break;
      case WaitResult::kTimedOut:
        return has_ready() ? harvest(to, most) : 0;
      case WaitResult::kInterrupted:
        return fail(Errno::kIntr);
    }
  }
}

}  // namespace quire::kernel
