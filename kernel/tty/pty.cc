#include "tty/pty.h"

#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/kdev_t.h>
#include <linux/poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "fs/dentry.h"
#include "fs/devices.h"
#include "fs/lookup.h"
#include "fs/mount.h"
#include "fs/walk.h"
#include "ipc/byte_queue.h"
#include "mm/uaccess.h"
#include "syscall/syscall.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

constexpr unsigned kMostPtys = 256;
constexpr std::uint32_t kTtyGroup = 5;        // Debian's group tty, as devpts is mounted there
constexpr std::size_t kOutputLimit = 65536;  ///< what waits for the master before writers wait
constexpr std::size_t kEchoLimit = kOutputLimit + 4096;

class PtyTerminal final : public Terminal {
 public:
  explicit PtyTerminal(unsigned its_number) : Terminal(MKDEV(kPtyMajor, its_number)), number(its_number) {}

  /// Locks: `table`.
  [[nodiscard]] bool is_free() {
    const Guard guard(output_);
    return !has_master_ && slaves_ == 0;
  }
  /// As new, for a new master.
  void begin() {
    start_again();
    const Guard guard(output_);
    has_master_ = is_locked_ = true;
    was_opened_ = false;
    bytes_.clear();
  }
  void end() {
    {
      const Guard guard(output_);
      has_master_ = false;
      bytes_.clear();
    }
    hang_up();
    forget_session_terminal(*this);
  }

  void on_open() override {
    const Guard guard(output_);
    ++slaves_;
    was_opened_ = true;
  }
  void on_close() override {
    {
      const Guard guard(output_);
      --slaves_;
    }
    master_.wake_all();
  }
  [[nodiscard]] bool may_open() {
    const Guard guard(output_);
    return has_master_ && !is_locked_;
  }
  void set_lock(bool locked) {
    const Guard guard(output_);
    is_locked_ = locked;
  }
  [[nodiscard]] bool is_locked() {
    const Guard guard(output_);
    return is_locked_;
  }

  /// The master's side. Errors: EAGAIN, EIO (nobody has the terminal open any more), EFAULT, kRestartSys.
  Result<std::size_t> read_output(IoBuffer& buffer, bool waits) {
    if (buffer.size() == 0) return 0;
    Sleeper sleeper;
    sleeper.add(master_);
    for (;;) {
      Result<std::size_t> done = 0;
      {
        const Guard guard(output_);
        done = bytes_.take(buffer.size(), [&](const std::byte* from, std::size_t n) { return buffer.copy_out(from, n); });
        if (done && *done == 0 && was_opened_ && slaves_ == 0) return fail(Errno::kIo);
      }
      if (!done) return done;
      if (*done != 0) {
        on_room();
        return done;
      }
      if (!waits) return fail(Errno::kAgain);
      if (sleeper.sleep(Interruptible::kYes) != WaitResult::kDone) return fail(kRestartSys);
    }
  }
  Result<std::size_t> write_input(IoBuffer& buffer, bool waits) {
    std::size_t done = 0;
    while (buffer.size() != 0) {
      char chunk[kInputChunk];
      const std::size_t n = std::min(buffer.size(), sizeof chunk);
      if (auto copied = buffer.copy_in(chunk, n); !copied) {
        if (done != 0) break;
        return fail(copied.error());
      }
      for (std::size_t given = 0; given < n;) {
        const std::size_t taken = receive({chunk + given, n - given});
        given += taken;
        done += taken;
        if (given == n) break;
        if (!waits || wait_for_room(Interruptible::kYes) != WaitResult::kDone) {
          if (done != 0) return done;
          return fail(waits ? kRestartSys : Errno::kAgain);
        }
      }
    }
    return done;
  }
  PollMask poll_master(Listener* listener) {
    if (listener != nullptr) {
      listener->add(master_);
      listener->add(input_room());
    }
    PollMask events = has_input_room() ? POLLOUT | POLLWRNORM : 0;
    const Guard guard(output_);
    if (bytes_.size() != 0) events |= POLLIN | POLLRDNORM;
    if (was_opened_ && slaves_ == 0) events |= POLLHUP;
    return events;
  }
  [[nodiscard]] std::size_t output_bytes() {
    const Guard guard(output_);
    return bytes_.size();
  }

  const unsigned number;
  RefPtr<Dentry> name;  ///< in /dev/pts. Locks: `table`

 protected:
  void transmit(std::string_view bytes, Interruptible) override {
    {
      const Guard guard(output_);
      if (!has_master_ || bytes_.size() >= kEchoLimit) return;
      static_cast<void>(bytes_.append(bytes.size(), [&bytes](std::byte* to, std::size_t n) -> Result<void> {
        std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()), n, to);
        bytes.remove_prefix(n);
        return {};
      }));
    }
    master_.wake_all(POLLIN | POLLRDNORM);
  }
  [[nodiscard]] bool has_output_room() override {
    const Guard guard(output_);
    return bytes_.size() < kOutputLimit;
  }

 private:
  static constexpr std::size_t kInputChunk = 256;

  Mutex output_;  ///< innermost: over what follows
  ByteQueue bytes_;
  bool has_master_ = false, is_locked_ = true, was_opened_ = false;
  unsigned slaves_ = 0;
  WaitQueue master_;
};

/// All that were ever used, by number. Locks: `table`, outside the directory's.
constinit Mutex table;
constinit PtyTerminal* ptys[kMostPtys] = {};

/// /dev/pts, where the names appear.
Result<RefPtr<Dentry>> pts_directory() {
  Walker walker(Identity::root());
  QUIRE_CHECK(walker.begin(mount_table().root(), mount_table().root(), "/dev/pts"));
  return walker.resolve(FinalLink::kFollow);
}

Result<RefPtr<Dentry>> add_name(unsigned number) {
  QUIRE_TRY(const RefPtr<Dentry> directory, pts_directory());
  const std::string name = std::to_string(number);
  const Guard guard(directory->inode()->mutex);
  QUIRE_TRY(RefPtr<Inode> node, directory->inode()->create(name, S_IFCHR | 0620U, device_number(kPtyMajor, number)));
  AttributeChange owner;
  owner.uid = current_credentials().fsuid;
  owner.gid = kTtyGroup;
  QUIRE_CHECK(node->set_attributes(owner));
  return publish_new(*directory, name, std::move(node));
}

void remove_name(unsigned number, const RefPtr<Dentry>& dentry) {
  const auto directory = pts_directory();
  if (!directory || !dentry) return;
  const Guard guard((*directory)->inode()->mutex);
  static_cast<void>((*directory)->inode()->unlink(std::to_string(number)));
  dentry_cache().remove(*dentry, DentryCache::Why::kUnlinked);
}

class PtyMaster final : public File {
 public:
  explicit PtyMaster(PtyTerminal& terminal) : terminal_(terminal) {}

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override { return terminal_.read_output(buffer, !nonblocking()); }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override { return terminal_.write_input(buffer, !nonblocking()); }
  PollMask poll(Listener* listener) override { return terminal_.poll_master(listener); }
  [[nodiscard]] bool can_poll() const override { return true; }

  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override {
    Result<void> done;
    switch (command) {
      case TIOCGPTN:
        done = put_user(argument, terminal_.number);
        break;
      case TIOCSPTLCK: {
        QUIRE_TRY(const int locked, get_user<int>(argument));
        terminal_.set_lock(locked != 0);
        break;
      }
      case TIOCGPTLCK:
        done = put_user(argument, terminal_.is_locked() ? 1 : 0);
        break;
      case TIOCGPTPEER:
        return open_peer(static_cast<std::uint32_t>(argument));
      case FIONREAD:
        done = put_user(argument, static_cast<int>(terminal_.output_bytes()));
        break;
      case TIOCGPGRP:  // the master need not be anybody's terminal
        done = put_user(argument, terminal_.foreground_group());
        break;
      case TIOCSIG: {
        const auto signal = static_cast<int>(argument);
        if (signal != SIGINT && signal != SIGQUIT && signal != SIGTSTP) return fail(Errno::kInval);
        if (const Pid group = terminal_.foreground_group(); group != 0) static_cast<void>(signal_group(group, signal));
        break;
      }
      case TIOCSCTTY:
      case TIOCNOTTY:
      case TIOCSPGRP:
        return fail(Errno::kNotTty);
      default:
        return terminal_.ioctl(command, argument);
    }
    QUIRE_CHECK(done);
    return 0;
  }

 protected:
  ~PtyMaster() override {
    const Guard guard(table);
    remove_name(terminal_.number, terminal_.name);
    terminal_.name = nullptr;
    terminal_.end();
  }

 private:
  Result<std::int64_t> open_peer(std::uint32_t open_flags) {
    QUIRE_TRY(RefPtr<File> slave, open_pty_slave(terminal_.number, open_flags));
    {
      const Guard guard(table);
      slave->dentry = terminal_.name;
      if (slave->dentry) slave->inode = slave->dentry->inode();
    }
    QUIRE_TRY(const int fd, current_files().install(std::move(slave), 0, (open_flags & O_CLOEXEC) != 0));
    return fd;
  }

  PtyTerminal& terminal_;
};

}  // namespace

Result<RefPtr<File>> open_pty_master(std::uint32_t flags) {
  const Guard guard(table);
  for (unsigned number = 0; number < kMostPtys; ++number) {
    PtyTerminal*& terminal = ptys[number];
    if (terminal == nullptr) terminal = new PtyTerminal(number);
    if (!terminal->is_free()) continue;
    QUIRE_TRY(terminal->name, add_name(number));
    terminal->begin();
    RefPtr<File> master = make_ref<PtyMaster>(*terminal);
    master->flags = flags & ~std::uint32_t{O_NOCTTY};
    return master;
  }
  return fail(Errno::kNoSpc);
}

Result<RefPtr<File>> open_pty_slave(std::uint32_t number, std::uint32_t flags) {
  PtyTerminal* terminal = nullptr;
  {
    const Guard guard(table);
    if (number < kMostPtys) terminal = ptys[number];
    if (terminal == nullptr) return fail(Errno::kNxIo);
    if (!terminal->may_open()) return fail(Errno::kIo);
  }
  RefPtr<File> file = make_terminal_file(*terminal, flags);
  terminal->acquire_on_open(flags);
  return file;
}

}  // namespace quire::kernel
