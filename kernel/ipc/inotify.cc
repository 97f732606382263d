// inotify(7): a file that tells what happened to others. Linux v6.12 fs/notify/inotify/.
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include <algorithm>
#include <deque>

#include "fs/lookup.h"
#include "fs/notify.h"
#include "fs/permission.h"
#include "fs/syscalls/common.h"
#include "ipc/anonymous_inode.h"
#include "ipc/calls.h"
#include "ipc/inotify.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

constexpr std::uint32_t kAllEvents = IN_ALL_EVENTS;
constexpr std::uint32_t kMaskCreate = 0x10000000;  // Linux v4.18: IN_MASK_CREATE
constexpr std::uint32_t kCreationFlags = IN_CLOEXEC | IN_NONBLOCK;
/// Names are filled up with zeros to a multiple of this.
constexpr std::size_t kNameUnit = sizeof(inotify_event);

constinit std::atomic<std::uint32_t> instances{0};

/// An open inotify file. Locks: the watches' mutex guards all but what File has.
class Inotify final : public File, public Watcher {
 public:
  explicit Inotify(std::uint32_t creation_flags) {
    const Credentials& owner = current_credentials();
    inode = make_ref<AnonymousInode>(0600U, owner.fsuid, owner.fsgid);
    flags = O_RDONLY | (creation_flags & IN_NONBLOCK);
    instances.fetch_add(1);
  }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    for (std::size_t done = 0;;) {
      const Result<std::size_t> size = take_one(buffer);
      if (!size) return done != 0 ? Result<std::size_t>(done) : size;
      done += *size;
      if (*size != 0) continue;
      if (done != 0) return done;
      if (nonblocking()) return fail(Errno::kAgain);
      if (wait_until(readers_, [&] { return has_events(); }, Interruptible::kYes) != WaitResult::kDone) return fail(kRestartSys);
    }
  }

  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override {
    if (command != FIONREAD) return fail(Errno::kNotTty);
    std::size_t bytes = 0;
    {
      Guard guard(watches_mutex);
      for (const Event& event : events_) bytes += size_of(event);
    }
    QUIRE_CHECK(put_user(argument, static_cast<std::int32_t>(bytes)));
    return 0;
  }

  [[nodiscard]] bool can_poll() const override { return true; }
  PollMask poll(Listener* listener) override {
    if (listener != nullptr) listener->add(readers_);
    return has_events() ? POLLIN | POLLRDNORM : 0;
  }
  [[nodiscard]] FileKind kind() const override { return FileKind::kInotify; }
  [[nodiscard]] std::string anonymous_name() const override { return "anon_inode:inotify"; }

  void on_close() override {
    Guard guard(watches_mutex);
    while (!watches_.empty()) remove_watch(*watches_.back());
  }

  /// Errors: EEXIST, ENOSPC.
  Result<std::int32_t> watch(const RefPtr<Dentry>& place, std::uint32_t mask) {
    Guard guard(watches_mutex);
    const auto found = std::ranges::find(watches_, place->inode().get(), [](const auto& watch) { return watch->inode(); });
    const bool is_new = found == watches_.end();
    if (!is_new && (mask & kMaskCreate) != 0) return fail(Errno::kExist);
    if (is_new && watch_count.load() >= kMostWatches) return fail(Errno::kNoSpc);
    if (is_new) watches_.push_back(std::make_unique<Watch>(*this, ++last_id_, place));
    Watch& watch = is_new ? *watches_.back() : **found;
    watch.events = (mask & kAllEvents) | ((mask & IN_MASK_ADD) != 0 ? watch.events : 0);
    watch.ends_at_first = (mask & IN_ONESHOT) != 0;
    watch.skips_unlinked = (mask & IN_EXCL_UNLINK) != 0;
    if (is_new) add_watch(watch);
    return watch.id;
  }

  /// Errors: EINVAL.
  Result<void> unwatch(std::int32_t id) {
    Guard guard(watches_mutex);
    const auto found = std::ranges::find(watches_, id, [](const auto& watch) { return watch->id; });
    if (found == watches_.end()) return fail(Errno::kInval);
    remove_watch(**found);
    return {};
  }

  void on_event(const Watch& watch, std::uint32_t event, std::uint32_t cookie, std::string_view name) override {
    queue({watch.id, event, cookie, std::string(name)});
  }

  void on_end(Watch& watch) override {
    queue({watch.id, IN_IGNORED, 0, {}});
    std::erase_if(watches_, [&](const auto& own) { return own.get() == &watch; });
  }

 private:
  struct Event {
    std::int32_t watch;
    std::uint32_t what, cookie;
    std::string name;
    bool operator==(const Event&) const = default;
  };

  ~Inotify() override { instances.fetch_sub(1); }

  [[nodiscard]] static std::size_t size_of_name(const Event& event) {
    return event.name.empty() ? 0 : (event.name.size() + 1 + kNameUnit - 1) / kNameUnit * kNameUnit;
  }
  [[nodiscard]] static std::size_t size_of(const Event& event) { return sizeof(inotify_event) + size_of_name(event); }

  /// The same twice in a row is told once; what is too much is told as such, once.
  void queue(Event event) {
    if (!events_.empty() && events_.back() == event) return;
    if (events_.size() >= kMostQueuedEvents) event = {-1, IN_Q_OVERFLOW, 0, {}};
    if (!events_.empty() && events_.back() == event) return;
    events_.push_back(std::move(event));
    readers_.wake_all(POLLIN | POLLRDNORM);
  }

  [[nodiscard]] bool has_events() {
    Guard guard(watches_mutex);
    return !events_.empty();
  }

  /// Moves an event into the buffer. Returns its size; 0: there is none. Errors: EINVAL (no room for it), EFAULT.
  Result<std::size_t> take_one(IoBuffer& buffer) {
    Event event;
    {
      Guard guard(watches_mutex);
      if (events_.empty()) return 0;
      if (size_of(events_.front()) > buffer.size()) return fail(Errno::kInval);
      event = std::move(events_.front());
      events_.pop_front();
    }
    inotify_event head{};
    head.wd = event.watch;
    head.mask = event.what;
    head.cookie = event.cookie;
    head.len = static_cast<std::uint32_t>(size_of_name(event));
    QUIRE_CHECK(buffer.copy_out(&head, sizeof head));
    event.name.resize(head.len);
    QUIRE_CHECK(buffer.copy_out(event.name.data(), event.name.size()));
    return sizeof head + head.len;
  }

  std::vector<std::unique_ptr<Watch>> watches_;
  std::deque<Event> events_;
  std::int32_t last_id_ = 0;
  WaitQueue readers_;
};

/// Errors: EBADF, EINVAL (another kind of file).
Result<RefPtr<Inotify>> inotify_arg(std::uint64_t fd) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(fd));
  if (file->kind() != FileKind::kInotify) return fail(Errno::kInval);
  return RefPtr<Inotify>(static_cast<Inotify*>(file.get()));
}

SyscallResult make_inotify(std::uint32_t flags) {
  if ((flags & ~kCreationFlags) != 0) return fail(Errno::kInval);
  if (instances.load() >= kMostInotifies) return fail(Errno::kMFile);
  return current_files().install(make_ref<Inotify>(flags), 0, (flags & IN_CLOEXEC) != 0);
}

}  // namespace

SyscallResult sys_inotify_init(const SyscallArgs&) { return make_inotify(0); }
SyscallResult sys_inotify_init1(const SyscallArgs& args) { return make_inotify(static_cast<std::uint32_t>(args.a[0])); }

SyscallResult sys_inotify_add_watch(const SyscallArgs& args) {
  const auto mask = static_cast<std::uint32_t>(args.a[2]);
  constexpr std::uint32_t kKnown =
      kAllEvents | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | kMaskCreate |
      IN_ISDIR | IN_ONESHOT;
  if ((mask & kKnown) == 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> any, file_arg(args.a[0]));
  if ((mask & IN_MASK_ADD) != 0 && (mask & kMaskCreate) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<Inotify> inotify, inotify_arg(args.a[0]));
  const std::uint32_t at_flags = (mask & IN_DONT_FOLLOW) != 0 ? std::uint32_t{AT_SYMLINK_NOFOLLOW} : 0;
  QUIRE_TRY(const RefPtr<Dentry> place, dentry_arg(static_cast<std::uint64_t>(AT_FDCWD), args.a[1], at_flags, at_flags));
  if ((mask & IN_ONLYDIR) != 0 && !place->is_directory()) return fail(Errno::kNotDir);
  QUIRE_CHECK(check_access(*place->inode(), place->type(), kMayRead, filesystem_identity()));
  return inotify->watch(place, mask);
}

SyscallResult sys_inotify_rm_watch(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Inotify> inotify, inotify_arg(args.a[0]));
  QUIRE_CHECK(inotify->unwatch(static_cast<std::int32_t>(args.a[1])));
  return 0;
}

}  // namespace quire::kernel
