// splice(2), tee(2), vmsplice(2): between pipes and files. Behaviour: man7 of each; Linux v6.12 fs/splice.c.
//
// Bytes are copied, not pages moved, so SPLICE_F_MOVE and SPLICE_F_GIFT change nothing, and memory given by vmsplice may be used again at
// once. Each step is done under the pipe's lock without waiting for the pipe; waiting is done before, by poll.
#include <fcntl.h>
#include <linux/poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "fs/syscalls/common.h"
#include "ipc/calls.h"
#include "ipc/pipe.h"
#include "ipc/poll_wait.h"
#include "net/socket.h"

namespace quire::kernel {

namespace {

constexpr std::uint32_t kKnownFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

bool is_pipe(const File& file) { return file.kind() == FileKind::kPipe; }
bool is_socket(const File& file) { return file.kind() == FileKind::kSocket; }

/// The side of a splice that is no pipe, at its own position or one that the caller keeps.
class Side {
 public:
  /// Errors: ESPIPE, EFAULT, EINVAL.
  Result<void> init(RefPtr<File> file, UserAddr offset_at) {
    file_ = std::move(file);
    offset_at_ = offset_at;
    if (offset_at == 0) return {};
    if (!file_->has_position()) return fail(Errno::kInval);
    QUIRE_TRY(offset_, get_user<std::int64_t>(offset_at));
    if (offset_ < 0) return fail(Errno::kInval);
    return {};
  }
  [[nodiscard]] File& file() const { return *file_; }

  /// Fill and drain of a pipe. A socket is not waited for here.
  static Result<std::size_t> read(void* self, std::byte* to, std::size_t room) {
    return static_cast<Side*>(self)->move(IoBuffer::kernel(to, room), true);
  }
  static Result<std::size_t> write(void* self, const std::byte* from, std::size_t size) {
    return static_cast<Side*>(self)->move(IoBuffer::kernel(const_cast<std::byte*>(from), size), false);
  }
  [[nodiscard]] Result<void> store_offset() const { return offset_at_ == 0 ? Result<void>() : put_user(offset_at_, offset_); }

 private:
  Result<std::size_t> move(IoBuffer buffer, bool reads) {
    if (is_socket(*file_)) {
      auto& socket = static_cast<Socket&>(*file_);
      if (reads) {
        IncomingMessage message{.data = buffer, .flags = MSG_DONTWAIT, .from = {}, .ancillary = {}};
        return socket.receive(message);
      }
      OutgoingMessage message{.data = buffer, .flags = MSG_DONTWAIT, .to = {}, .ancillary = {}};
      return socket.send(message);
    }
    SyscallResult moved = 0;
    if (offset_at_ != 0) {
      moved = reads ? read_from(*file_, buffer, offset_) : write_to(*file_, buffer, offset_);
      if (moved) offset_ += *moved;
    } else {
      moved = reads ? read_from(*file_, buffer) : write_to(*file_, buffer);
    }
    if (!moved) return fail(moved.error());
    return static_cast<std::size_t>(*moved);
  }

  RefPtr<File> file_;
  UserAddr offset_at_ = 0;
  std::int64_t offset_ = 0;
};

/// Waits until `file` may be ready. Errors: kRestartSys.
Result<void> wait_until_ready(const RefPtr<File>& file, PollMask events) {
  std::array<PollEntry, 1> entries{{{file, events | POLLERR | POLLHUP, 0}}};
  if (!wait_for_events(entries, kForever)) return fail(kRestartSys);
  return {};
}

/// Repeats step() until it moves something or fails otherwise than for want of bytes or room; waits for `pipe` and `other` meanwhile.
template <typename Step>
Result<std::size_t> repeat(Step step, const RefPtr<File>& pipe, PollMask pipe_events, bool pipe_waits, const RefPtr<File>& other,
                           PollMask other_events) {
  for (;;) {
    if (other && is_socket(*other) && !other->nonblocking() && (pipe->poll(nullptr) & pipe_events) != 0)
      QUIRE_CHECK(wait_until_ready(other, other_events));
    const Result<std::size_t> done = step();
    if (done || done.error() != Errno::kAgain) return done;
    const bool pipe_ready = (pipe->poll(nullptr) & pipe_events) != 0;
    if (!pipe_ready) {
      if (!pipe_waits) return fail(Errno::kAgain);
      QUIRE_CHECK(wait_until_ready(pipe, pipe_events));
    } else if (!other || other->nonblocking()) {
      return fail(Errno::kAgain);
    }
  }
}

/// What a file without pages can be spliced from or to. Errors: EINVAL.
Result<void> check_type(File& file) {
  if (is_socket(file)) return {};
  QUIRE_TRY(const Attributes attributes, file.attributes());
  const std::uint32_t type = attributes.mode & S_IFMT;
  if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK) return fail(Errno::kInval);
  return {};
}

Result<std::size_t> splice_pipes(const RefPtr<File>& in, const RefPtr<File>& out, std::size_t size, bool waits, Pipe::Leave leave) {
  Pipe &from = pipe_of(*in), &to = pipe_of(*out);
  if (&from == &to) return fail(Errno::kInval);
  for (;;) {
    const auto done = from.pass_to(to, size, leave);
    if (done || done.error() != Errno::kAgain || !waits) return done;
    QUIRE_CHECK(wait_until_ready(in, POLLIN));
    // A pipe with any room at all will do, which poll does not tell: look again when it changes.
    if (to.readable_bytes() >= to.size()) QUIRE_CHECK(wait_until_ready(out, POLLOUT));
  }
}

SyscallResult to_syscall(const Result<std::size_t>& moved) {
  if (!moved) return fail(moved.error());
  return static_cast<std::int64_t>(*moved);
}

}  // namespace

SyscallResult sys_splice(const SyscallArgs& args) {
  const UserAddr in_offset = args.a[1], out_offset = args.a[3];
  const std::size_t size = std::min<std::size_t>(args.a[4], kMaxTransfer);
  const std::uint32_t flags = uint_arg(args.a[5]);
  if (size == 0) return 0;
  if ((flags & ~kKnownFlags) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> in, file_arg(args.a[0]));
  QUIRE_TRY(const RefPtr<File> out, file_arg(args.a[2]));
  if (!in->readable() || !out->writable()) return fail(Errno::kBadF);
  if ((is_pipe(*in) && in_offset != 0) || (is_pipe(*out) && out_offset != 0)) return fail(Errno::kSPipe);
  const bool no_wait = (flags & SPLICE_F_NONBLOCK) != 0;
  if (is_pipe(*in) && is_pipe(*out)) {
    const bool waits = !no_wait && !in->nonblocking() && !out->nonblocking();
    return to_syscall(splice_pipes(in, out, size, waits, Pipe::Leave::kNothing));
  }
  if (is_pipe(*in)) {
    if ((out->flags.load() & O_APPEND) != 0) return fail(Errno::kInval);
    QUIRE_CHECK(check_type(*out));
    Side to;
    QUIRE_CHECK(to.init(out, out_offset));
    const auto step = [&] { return pipe_of(*in).drain_to(size, Side::write, &to); };
    const SyscallResult done = to_syscall(repeat(step, in, POLLIN | POLLHUP, !no_wait && !in->nonblocking(), out, POLLOUT));
    if (done) QUIRE_CHECK(to.store_offset());
    return done;
  }
  if (!is_pipe(*out)) return fail(Errno::kInval);
  QUIRE_CHECK(check_type(*in));
  Side from;
  QUIRE_CHECK(from.init(in, in_offset));
  const auto step = [&] { return pipe_of(*out).fill_from(size, Side::read, &from); };
  const SyscallResult done = to_syscall(repeat(step, out, POLLOUT | POLLERR, !no_wait && !out->nonblocking(), in, POLLIN));
  if (done) QUIRE_CHECK(from.store_offset());
  return done;
}

SyscallResult sys_tee(const SyscallArgs& args) {
  const std::size_t size = std::min<std::size_t>(args.a[2], kMaxTransfer);
  const std::uint32_t flags = uint_arg(args.a[3]);
  if ((flags & ~kKnownFlags) != 0) return fail(Errno::kInval);
  if (size == 0) return 0;
  QUIRE_TRY(const RefPtr<File> in, file_arg(args.a[0]));
  QUIRE_TRY(const RefPtr<File> out, file_arg(args.a[1]));
  if (!in->readable() || !out->writable()) return fail(Errno::kBadF);
  if (!is_pipe(*in) || !is_pipe(*out)) return fail(Errno::kInval);
  const bool waits = (flags & SPLICE_F_NONBLOCK) == 0 && !in->nonblocking() && !out->nonblocking();
  return to_syscall(splice_pipes(in, out, size, waits, Pipe::Leave::kAll));
}

SyscallResult sys_vmsplice(const SyscallArgs& args) {
  const std::uint32_t flags = uint_arg(args.a[3]);
  if ((flags & ~kKnownFlags) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  if (!is_pipe(*file)) return fail(Errno::kBadF);
  IoVector vector;
  QUIRE_CHECK(vector.load(args.a[1], args.a[2]));
  IoBuffer buffer = IoBuffer::user(vector.pieces());
  if (buffer.size() == 0) return 0;
  buffer.limit(std::min(buffer.size(), kMaxTransfer));
  const bool waits = (flags & SPLICE_F_NONBLOCK) == 0 && !file->nonblocking();
  const Pipe::Blocking blocking = waits ? Pipe::Blocking::kYes : Pipe::Blocking::kNo;
  Pipe& pipe = pipe_of(*file);
  if (!file->writable()) return to_syscall(pipe.read(buffer, blocking));
  // One that is full takes what it can and tells how much; only an empty-handed caller waits.
  const auto first = pipe.write(buffer, Pipe::Blocking::kNo);
  if (first || first.error() != Errno::kAgain || !waits) return to_syscall(first);
  QUIRE_CHECK(wait_until_ready(file, POLLOUT));
  return to_syscall(pipe.write(buffer, Pipe::Blocking::kNo));
}

}  // namespace quire::kernel
