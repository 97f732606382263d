#include "tty/streams.h"

#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "boot/launch.h"
#include "drivers/console_port.h"
#include "fs/dentry.h"
#include "ipc/anonymous_inode.h"
#include "mm/uaccess.h"
#include "syscall/syscall.h"
#include "task/task.h"
#include "tty/input_stream.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

/// quire.stdin for readers.
class StandardInput final : public AnonymousInode {
 public:
  explicit StandardInput(ConsolePort& port)
      : AnonymousInode(S_IFIFO | 0600, launch().uid, launch().gid), stream_(port) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override;

  Result<std::size_t> read(IoBuffer& buffer, bool nonblocking) {
    if (buffer.size() == 0) return 0;
    Sleeper sleeper;
    sleeper.add(stream_.readers());
    for (;;) {
      {
        Guard guard(lock_);
        if (const std::string_view bytes = stream_.available(); !bytes.empty()) {
          const std::size_t n = std::min(bytes.size(), buffer.size());
          QUIRE_CHECK(buffer.copy_out(bytes.data(), n));
          stream_.consume(n);
          return n;
        }
        if (stream_.ended()) return 0;
      }
      if (nonblocking) return fail(Errno::kAgain);
      if (sleeper.sleep(Interruptible::kYes) == WaitResult::kInterrupted) return fail(kRestartSys);
    }
  }

  PollMask poll(Listener* listener) {
    if (listener != nullptr) listener->add(stream_.readers());
    Guard guard(lock_);
    if (!stream_.available().empty()) return POLLIN | POLLRDNORM;
    return stream_.ended() ? POLLHUP : 0;
  }

  int readable_bytes() {
    Guard guard(lock_);
    return static_cast<int>(stream_.available().size());
  }

 private:
  Mutex lock_;
  InputStream stream_;
};

/// quire.stdout or quire.stderr for writers.
class StandardOutput final : public AnonymousInode {
 public:
  explicit StandardOutput(ConsolePort& port)
      : AnonymousInode(S_IFIFO | 0600, launch().uid, launch().gid), port_(port) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override;

  Result<std::size_t> write(IoBuffer& buffer) {
    std::size_t done = 0;
    while (buffer.size() != 0) {
      if (done != 0 && signal_pending()) break;
      const std::size_t n = std::min(buffer.size(), kChunk);
      const auto chunk = std::make_unique_for_overwrite<char[]>(n);
      if (auto copied = buffer.copy_in(chunk.get(), n); !copied) {
        if (done != 0) break;
        return fail(copied.error());
      }
      const std::size_t written = port_.write(chunk.get(), n, Interruptible::kYes);
      done += written;
      if (written < n) return done != 0 ? Result<std::size_t>(done) : fail(kRestartSys);
    }
    return done;
  }

 private:
  static constexpr std::size_t kChunk = 16384;
  ConsolePort& port_;
};

class InputFile final : public File {
 public:
  InputFile(StandardInput& stream, std::uint32_t open_flags) : stream_(stream) {
    inode = RefPtr<Inode>(&stream);
    flags = open_flags;
  }
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    return stream_.read(buffer, nonblocking());
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  PollMask poll(Listener* listener) override { return stream_.poll(listener); }
  [[nodiscard]] std::string anonymous_name() const override { return stream_.link_name("pipe"); }
  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override {
    if (command != FIONREAD) return fail(Errno::kNotTty);
    QUIRE_CHECK(put_user(argument, stream_.readable_bytes()));
    return 0;
  }

 private:
  StandardInput& stream_;
};

class OutputFile final : public File {
 public:
  OutputFile(StandardOutput& stream, std::uint32_t open_flags) : stream_(stream) {
    inode = RefPtr<Inode>(&stream);
    flags = open_flags;
  }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    return stream_.write(buffer);
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  PollMask poll(Listener*) override { return POLLOUT | POLLWRNORM; }
  [[nodiscard]] std::string anonymous_name() const override { return stream_.link_name("pipe"); }

 private:
  StandardOutput& stream_;
};

Result<RefPtr<File>> StandardInput::open(std::uint32_t flags) {
  if ((flags & O_ACCMODE) != O_RDONLY) return fail(Errno::kAcces);
  return RefPtr<File>(make_ref<InputFile>(*this, flags));
}

Result<RefPtr<File>> StandardOutput::open(std::uint32_t flags) {
  if ((flags & O_ACCMODE) != O_WRONLY) return fail(Errno::kAcces);
  return RefPtr<File>(make_ref<OutputFile>(*this, flags));
}

/// The streams, kept for ever. Called by the one thread that starts the first program.
Result<RefPtr<Inode>> standard_stream(unsigned fd) {
  static constexpr std::array<std::string_view, 3> kPorts = {"quire.stdin", "quire.stdout",
                                                             "quire.stderr"};
  static std::array<Inode*, 3> streams{};
  if (streams[fd] == nullptr) {
    ConsolePort* const port = console_port(kPorts[fd]);
    if (port == nullptr) return fail(Errno::kNxIo);
    if (fd == 0) {
      streams[fd] = new StandardInput(*port);
    } else {
      streams[fd] = new StandardOutput(*port);
    }
  }
  return RefPtr<Inode>(streams[fd]);
}

}  // namespace

Result<RefPtr<File>> open_standard_stream(int fd) {
  if (fd < 0 || fd > 2) return fail(Errno::kBadF);
  if (launch().tty.find(static_cast<char>('0' + fd)) != std::string_view::npos)
    return open_terminal_device(1, O_RDWR | O_NOCTTY);  // the program's session gets it by attach()
  QUIRE_TRY(const RefPtr<Inode> stream, standard_stream(static_cast<unsigned>(fd)));
  return stream->open(fd == 0 ? O_RDONLY : O_WRONLY);
}

}  // namespace quire::kernel
