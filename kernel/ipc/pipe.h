// Pipes and named pipes.
//
// Life cycle: a Pipe is the inode of an unnamed pipe, or belongs to a FifoState; its ends are Files
// and keep it. When both ends are closed the bytes left are forgotten. Behaviour: man7 pipe(7),
// fifo(7); Linux v6.12 fs/pipe.c.
//
// Locks: `lock_` guards all of it and is held while bytes are copied, which may sleep for a page
// fault; nothing of another area is called under it. What differs from Linux: the size is a number
// of bytes, not of page slots, so small writes waste nothing of it. Not there: splice, tee,
// vmsplice (ENOSYS), packet mode (O_DIRECT: EINVAL).
#pragma once

#include <cstddef>
#include <cstdint>

#include "fs/vfs.h"
#include "ipc/anonymous_inode.h"
#include "ipc/byte_queue.h"
#include "lib/ref_ptr.h"
#include "sched/wait.h"
#include "sync/lock.h"

namespace quire::kernel {

class Pipe final : public AnonymousInode {
 public:
  static constexpr std::size_t kDefaultSize = 65536, kLargestSize = 1U << 20;
  enum class Blocking : std::uint8_t { kYes, kNo };
  /// Which ends an open file is, from its access mode.
  struct Ends {
    bool read = false, write = false;
    static Ends of(std::uint32_t open_flags);
  };

  Pipe(std::uint32_t uid, std::uint32_t gid);

  /// A File on this pipe as a named one. Waits, as fifo(7) says, for the other end unless `open_flags` has
  /// O_NONBLOCK or is O_RDWR. Errors: ENXIO (write only, no reader, nonblocking); kRestartSys.
  Result<RefPtr<File>> open_named(std::uint32_t open_flags);
  /// An unnamed pipe opened again by /proc/PID/fd: there is nobody to wait for.
  Result<RefPtr<File>> open(std::uint32_t open_flags) override { return open_new_end(open_flags); }
  /// A new end of a pipe without a name: does not wait.
  RefPtr<File> open_new_end(std::uint32_t open_flags);

  /// Errors: EAGAIN, EFAULT, kRestartSys.
  Result<std::size_t> read(IoBuffer& buffer, Blocking blocking);
  /// Up to PIPE_BUF bytes arrive together. Errors: EPIPE (with SIGPIPE), EAGAIN, EFAULT, ENOMEM,
  /// kRestartSys.
  Result<std::size_t> write(IoBuffer& buffer, Blocking blocking);
  /// The end is not reported to a file opened without waiting while there was no writer, until one
  /// has come and gone: `writers_seen` is then how many there had been before, else 0.
  PollMask poll(Ends ends, std::uint32_t writers_seen, Listener* listener);
  void close(Ends ends);

  /// One step of splice(2) without waiting: up to `n` bytes that fill() provides, or that drain() takes (ByteQueue), which may call other
  /// files but not pipes. Errors: EPIPE (with SIGPIPE), EAGAIN (no room; nothing there but writers), theirs. 0: the end.
  using Fill = Result<std::size_t> (*)(void* context, std::byte* to, std::size_t room);
  using Drain = Result<std::size_t> (*)(void* context, const std::byte* from, std::size_t size);
  Result<std::size_t> fill_from(std::size_t n, Fill fill, void* context);
  Result<std::size_t> drain_to(std::size_t n, Drain drain, void* context);
  /// Moves or copies up to `n` bytes from this pipe to another one without waiting. Errors: EPIPE (with SIGPIPE), EAGAIN. 0: the end.
  enum class Leave : std::uint8_t { kNothing, kAll };
  Result<std::size_t> pass_to(Pipe& other, std::size_t n, Leave leave);

  [[nodiscard]] std::size_t readable_bytes();
  [[nodiscard]] std::size_t size();
  /// Rounded up to a power of two of pages, as F_SETPIPE_SZ does. Errors: EINVAL, EPERM (beyond
  /// kLargestSize, root or not), EBUSY.
  Result<std::size_t> resize(std::uint64_t wanted);

 private:
  void add_ends_locked(Ends ends);
  [[nodiscard]] std::size_t room_locked() const {
    return size_ > bytes_.size() ? size_ - bytes_.size() : 0;
  }
  RefPtr<File> make_file(std::uint32_t open_flags, std::uint32_t writers_seen);

  Mutex lock_;
  ByteQueue bytes_;
  std::size_t size_ = kDefaultSize;
  unsigned readers_ = 0, writers_ = 0;  ///< open ends
  /// Opened so far: an opener waits for these to change.
  std::uint32_t readers_ever_ = 0, writers_ever_ = 0;
  WaitQueue read_wait_, write_wait_, open_wait_;
};

/// What a named pipe's inode keeps. Default: nothing; the pipe is made at the first open and kept
/// with the inode.
struct FifoState {
  Mutex lock;
  RefPtr<Pipe> pipe;
};

/// The pipe an open file is an end of. Pre: file.kind() is kPipe.
Pipe& pipe_of(File& file);

/// open(2) of a named pipe. The caller sets the file's inode (which keeps `fifo`) and dentry.
/// Errors: as Pipe::open().
Result<RefPtr<File>> open_fifo(FifoState& fifo, std::uint32_t flags);

}  // namespace quire::kernel
