#include "ipc/pipe.h"

#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <csignal>

#include "fs/dentry.h"
#include "mm/uaccess.h"
#include "syscall/syscall.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

/// One or both ends of a pipe as an open file.
class PipeFile final : public File {
 public:
  PipeFile(Pipe& pipe, std::uint32_t open_flags, std::uint32_t writers_seen)
      : pipe_(&pipe), ends_(Pipe::Ends::of(open_flags)), writers_seen_(writers_seen) {
    inode = RefPtr<Inode>(&pipe);
    flags = open_flags & ~std::uint32_t{O_CLOEXEC};
  }
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    return pipe_->read(buffer, blocking());
  }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    return pipe_->write(buffer, blocking());
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  [[nodiscard]] FileKind kind() const override { return FileKind::kPipe; }
  PollMask poll(Listener* listener) override { return pipe_->poll(ends_, writers_seen_, listener); }
  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override {
    if (command != FIONREAD) return fail(Errno::kNotTty);
    QUIRE_CHECK(put_user(argument, static_cast<int>(pipe_->readable_bytes())));
    return 0;
  }
  Result<std::int64_t> fcntl(std::uint32_t command, std::uint64_t argument) override {
    if (command == F_GETPIPE_SZ) return static_cast<std::int64_t>(pipe_->size());
    if (command != F_SETPIPE_SZ) return File::fcntl(command, argument);
    QUIRE_TRY(const std::size_t size, pipe_->resize(argument));
    return static_cast<std::int64_t>(size);
  }
  [[nodiscard]] std::string anonymous_name() const override { return pipe_->link_name("pipe"); }
  [[nodiscard]] Pipe& pipe() const { return *pipe_; }

 protected:
  ~PipeFile() override { pipe_->close(ends_); }

 private:
  [[nodiscard]] Pipe::Blocking blocking() const {
    return nonblocking() ? Pipe::Blocking::kNo : Pipe::Blocking::kYes;
  }

  RefPtr<Pipe> pipe_;
  const Pipe::Ends ends_;
  const std::uint32_t writers_seen_;
};

}  // namespace

Pipe::Ends Pipe::Ends::of(std::uint32_t open_flags) {
  const std::uint32_t access = open_flags & O_ACCMODE;
  return {.read = access != O_WRONLY, .write = access != O_RDONLY};
}

Pipe::Pipe(std::uint32_t uid, std::uint32_t gid) : AnonymousInode(S_IFIFO | 0600, uid, gid) {}

void Pipe::add_ends_locked(Ends ends) {
  if (ends.read) {
    ++readers_;
    ++readers_ever_;
  }
  if (ends.write) {
    ++writers_;
    ++writers_ever_;
  }
}

RefPtr<File> Pipe::make_file(std::uint32_t open_flags, std::uint32_t writers_seen) {
  return make_ref<PipeFile>(*this, open_flags, writers_seen);
}

RefPtr<File> Pipe::open_new_end(std::uint32_t open_flags) {
  Guard guard(lock_);
  add_ends_locked(Ends::of(open_flags));
  return make_file(open_flags, 0);
}

Result<RefPtr<File>> Pipe::open_named(std::uint32_t open_flags) {
  const Ends ends = Ends::of(open_flags);
  const bool waits_not = (open_flags & O_NONBLOCK) != 0;
  RefPtr<File> file;
  bool partner_missing = false;
  std::uint32_t readers_before = 0, writers_before = 0;
  {
    Guard guard(lock_);
    if (waits_not && !ends.read && readers_ == 0) return fail(Errno::kNxIo);
    add_ends_locked(ends);
    readers_before = readers_ever_;
    writers_before = writers_ever_;
    partner_missing = (ends.read && writers_ == 0) || (ends.write && readers_ == 0);
    file = make_file(open_flags, ends.read && writers_ == 0 && waits_not ? writers_before : 0);
  }
  open_wait_.wake_all();
  if (!partner_missing || waits_not) return file;
  const auto partner_came = [&] {
    Guard guard(lock_);
    return ends.read ? writers_ever_ != writers_before : readers_ever_ != readers_before;
  };
  if (wait_until(open_wait_, partner_came, Interruptible::kYes) == WaitResult::kInterrupted)
    return fail(kRestartSys);
  return file;
}

Result<std::size_t> Pipe::read(IoBuffer& buffer, Blocking blocking) {
  if (buffer.size() == 0) return 0;
  const auto give = [&](const std::byte* from, std::size_t n) { return buffer.copy_out(from, n); };
  Sleeper sleeper;
  bool enqueued = false;
  for (;;) {
    Result<std::size_t> taken = 0;
    bool ended = false;
    {
      Guard guard(lock_);
      ended = bytes_.size() == 0 && writers_ == 0;
      taken = bytes_.take(buffer.size(), give);
    }
    if (!taken) return taken;
    if (*taken != 0) {
      write_wait_.wake_all(POLLOUT | POLLWRNORM);
      return taken;
    }
    if (ended) return 0;
    if (blocking == Blocking::kNo) return fail(Errno::kAgain);
    if (!enqueued) {
      enqueued = true;
      sleeper.add(read_wait_);
      continue;  // look again: bytes may have come before the sleeper was there
    }
    if (sleeper.sleep(Interruptible::kYes) == WaitResult::kInterrupted) return fail(kRestartSys);
  }
}

Result<std::size_t> Pipe::write(IoBuffer& buffer, Blocking blocking) {
  const std::size_t wanted = buffer.size();
  if (wanted == 0) return 0;
  // A write that may be split needs only a byte of room.
  const std::size_t needed = wanted <= PIPE_BUF ? wanted : 1;
  std::size_t done = 0;
  const auto so_far = [&done](Errno error) -> Result<std::size_t> {
    if (done != 0) return done;
    return fail(error);
  };
  Sleeper sleeper;
  bool enqueued = false;
  while (done < wanted) {
    Result<std::size_t> added = 0;
    bool broken = false;
    {
      Guard guard(lock_);
      broken = readers_ == 0;
      if (const std::size_t room = room_locked(); !broken && room >= needed) {
        added = bytes_.append(std::min(room, buffer.size()),
                              [&](std::byte* to, std::size_t n) { return buffer.copy_in(to, n); });
      }
    }
    if (broken) {
      signal_current(SIGPIPE);
      return so_far(Errno::kPipe);
    }
    if (!added) return so_far(added.error());
    if (*added != 0) {
      done += *added;
      read_wait_.wake_all(POLLIN | POLLRDNORM);
      continue;
    }
    if (blocking == Blocking::kNo) return so_far(Errno::kAgain);
    if (!enqueued) {
      enqueued = true;
      sleeper.add(write_wait_);
      continue;
    }
    if (sleeper.sleep(Interruptible::kYes) == WaitResult::kInterrupted) return so_far(kRestartSys);
  }
  return done;
}

PollMask Pipe::poll(Ends ends, std::uint32_t writers_seen, Listener* listener) {
  if (listener != nullptr) {
    if (ends.read) listener->add(read_wait_);
    if (ends.write) listener->add(write_wait_);
  }
  Guard guard(lock_);
  PollMask events = 0;
  if (ends.read) {
    if (bytes_.size() != 0) events |= POLLIN | POLLRDNORM;
    if (writers_ == 0 && writers_ever_ != writers_seen) events |= POLLHUP;
  }
  if (ends.write) {
    if (room_locked() >= PIPE_BUF) events |= POLLOUT | POLLWRNORM;
    if (readers_ == 0) events |= POLLERR;
  }
  return events;
}

void Pipe::close(Ends ends) {
  {
    Guard guard(lock_);
    if (ends.read) --readers_;
    if (ends.write) --writers_;
    if (readers_ == 0 && writers_ == 0) bytes_.clear();
  }
  read_wait_.wake_all();
  write_wait_.wake_all();
}

std::size_t Pipe::readable_bytes() {
  Guard guard(lock_);
  return bytes_.size();
}

std::size_t Pipe::size() {
  Guard guard(lock_);
  return size_;
}

Result<std::size_t> Pipe::resize(std::uint64_t wanted) {
  if (wanted > (std::uint64_t{1} << 31)) return fail(Errno::kInval);
  const std::size_t size = std::max<std::size_t>(std::bit_ceil(wanted), 4096);
  if (size > kLargestSize) return fail(Errno::kPerm);
  {
    Guard guard(lock_);
    if (size < bytes_.size()) return fail(Errno::kBusy);
    size_ = size;
  }
  write_wait_.wake_all();
  return size;
}

Result<std::size_t> Pipe::fill_from(std::size_t n, Fill fill, void* context) {
  Result<std::size_t> done = 0;
  {
    Guard guard(lock_);
    const std::size_t room = room_locked();
    if (readers_ == 0) {
      done = fail(Errno::kPipe);
    } else if (room == 0) {
      return fail(Errno::kAgain);
    } else {
      done = bytes_.append_some(std::min(n, room), [&](std::byte* to, std::size_t size) { return fill(context, to, size); });
    }
  }
  if (!done && done.error() == Errno::kPipe) signal_current(SIGPIPE);
  if (done && *done != 0) read_wait_.wake_all(POLLIN | POLLRDNORM);
  return done;
}

Result<std::size_t> Pipe::drain_to(std::size_t n, Drain drain, void* context) {
  Result<std::size_t> done = 0;
  {
    Guard guard(lock_);
    if (bytes_.size() == 0 && writers_ != 0) return fail(Errno::kAgain);
    done = bytes_.take_some(n, [&](const std::byte* from, std::size_t size) { return drain(context, from, size); });
  }
  if (done && *done != 0) write_wait_.wake_all(POLLOUT | POLLWRNORM);
  return done;
}

Result<std::size_t> Pipe::pass_to(Pipe& other, std::size_t n, Leave leave) {
  Result<std::size_t> done = 0;
  {
    Guard first(this < &other ? lock_ : other.lock_);
    Guard second(this < &other ? other.lock_ : lock_);
    const std::size_t room = other.room_locked();
    if (other.readers_ == 0) {
      done = fail(Errno::kPipe);
    } else if (bytes_.size() == 0) {
      if (writers_ != 0) return fail(Errno::kAgain);
      return 0;
    } else if (room == 0) {
      return fail(Errno::kAgain);
    } else {
      const auto copy = [&other](const std::byte* from, std::size_t size) -> Result<void> {
        const auto put = [&from](std::byte* to, std::size_t part) -> Result<void> {
          std::copy_n(from, part, to);
          from += part;
          return {};
        };
        // Memory is asked for before a byte is taken: what does not fit whole is not there.
        const auto added = other.bytes_.append(size, put);
        if (added && *added != size) other.bytes_.drop_last(*added);
        if (!added || *added != size) return fail(Errno::kNoMem);
        return {};
      };
      const std::size_t wanted = std::min(n, room);
      done = leave == Leave::kAll ? bytes_.peek(wanted, copy) : bytes_.take(wanted, copy);
    }
  }
  if (!done && done.error() == Errno::kPipe) signal_current(SIGPIPE);
  if (done && *done != 0) {
    other.read_wait_.wake_all(POLLIN | POLLRDNORM);
    if (leave == Leave::kNothing) write_wait_.wake_all(POLLOUT | POLLWRNORM);
  }
  return done;
}

Pipe& pipe_of(File& file) { return static_cast<PipeFile&>(file).pipe(); }

Result<RefPtr<File>> open_fifo(FifoState& fifo, std::uint32_t flags) {
  RefPtr<Pipe> pipe;
  {
    Guard guard(fifo.lock);
    if (!fifo.pipe) fifo.pipe = make_ref<Pipe>(0U, 0U);
    pipe = fifo.pipe;
  }
  return pipe->open_named(flags);
}

}  // namespace quire::kernel
