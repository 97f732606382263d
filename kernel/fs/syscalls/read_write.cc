// read(2), write(2) and their relatives.
#include <asm/resource.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <algorithm>

#include "fs/attribute_ops.h"
#include "fs/notify.h"
#include "fs/syscalls/common.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

/// What a transfer answers; who watches the file hears of `event` if anything moved.
SyscallResult to_syscall(const File& file, std::uint32_t event, const Result<std::size_t>& moved) {
  if (!moved) return fail(moved.error());
  if (*moved != 0) notify(file, event);
  return static_cast<std::int64_t>(*moved);
}

void bound(IoBuffer& buffer) { buffer.limit(std::min(buffer.size(), kMaxTransfer)); }

/// Cuts a write off at RLIMIT_FSIZE. Errors: EFBIG.
Result<void> apply_size_limit(File& file, IoBuffer& buffer, std::uint64_t offset) {
  const std::uint64_t limit = current_rlimit(RLIMIT_FSIZE);
  if (limit == ~std::uint64_t{0} || buffer.size() == 0) return {};
  QUIRE_TRY(const Attributes now, file.attributes());
  if ((now.mode & S_IFMT) != S_IFREG) return {};
  if ((file.flags.load() & O_APPEND) != 0) offset = now.size;
  if (offset >= limit) return check_file_size_limit(offset + 1);
  buffer.limit(std::min<std::uint64_t>(buffer.size(), limit - offset));
  return {};
}

bool is_direct(const File& file) { return (file.flags.load() & O_DIRECT) != 0; }

Result<std::size_t> read_some(File& file, IoBuffer& buffer, std::uint64_t offset) {
  return is_direct(file) ? read_direct(file, buffer, offset) : file.read(buffer, offset);
}

Result<std::size_t> write_limited(File& file, IoBuffer& buffer, std::uint64_t offset) {
  QUIRE_CHECK(apply_size_limit(file, buffer, offset));
  return is_direct(file) ? write_direct(file, buffer, offset) : file.write(buffer, offset);
}

/// Where the position is after appending: the file alone knew where its end was.
Result<std::uint64_t> position_after_write(File& file, std::uint64_t offset, std::size_t written) {
  if (written == 0 || (file.flags.load() & O_APPEND) == 0) return offset + written;
  QUIRE_TRY(const Attributes now, file.attributes());
  return now.size;
}

SyscallResult sys_read(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  return read_from(*file, IoBuffer::user(args.a[1], args.a[2]));
}

SyscallResult sys_write(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  return write_to(*file, IoBuffer::user(args.a[1], args.a[2]));
}

SyscallResult sys_pread(const SyscallArgs& args) {
  const auto offset = static_cast<std::int64_t>(args.a[3]);
  if (offset < 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  return read_from(*file, IoBuffer::user(args.a[1], args.a[2]), offset);
}

SyscallResult sys_pwrite(const SyscallArgs& args) {
  const auto offset = static_cast<std::int64_t>(args.a[3]);
  if (offset < 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  return write_to(*file, IoBuffer::user(args.a[1], args.a[2]), offset);
}

SyscallResult sys_readv(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  IoVector vector;
  QUIRE_CHECK(vector.load(args.a[1], args.a[2]));
  return read_from(*file, IoBuffer::user(vector.pieces()));
}

SyscallResult sys_writev(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  IoVector vector;
  QUIRE_CHECK(vector.load(args.a[1], args.a[2]));
  return write_to(*file, IoBuffer::user(vector.pieces()));
}

using PositionedTransfer = SyscallResult (*)(File&, IoBuffer, std::int64_t);

/// preadv and pwritev. The offset's upper half, the fifth argument, is for machines of 32 bits.
SyscallResult vectored_at(const SyscallArgs& args, PositionedTransfer transfer) {
  const auto offset = static_cast<std::int64_t>(args.a[3]);
  if (offset < 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  IoVector vector;
  QUIRE_CHECK(vector.load(args.a[1], args.a[2]));
  return transfer(*file, IoBuffer::user(vector.pieces()), offset);
}

SyscallResult sys_preadv(const SyscallArgs& args) { return vectored_at(args, read_from); }
SyscallResult sys_pwritev(const SyscallArgs& args) { return vectored_at(args, write_to); }

// RWF_*: a hint, and how far a write has gone when it returns. The others are not there.
constexpr std::uint64_t kHighPriority = RWF_HIPRI, kSynchronous = RWF_DSYNC | RWF_SYNC;

/// Offset −1 is the file's own position.
SyscallResult sys_preadv2(const SyscallArgs& args) {
  if ((args.a[5] & ~(kHighPriority | kSynchronous)) != 0) return fail(Errno::kOpNotSupp);
  return static_cast<std::int64_t>(args.a[3]) == -1 ? sys_readv(args) : sys_preadv(args);
}

SyscallResult sys_pwritev2(const SyscallArgs& args) {
  if ((args.a[5] & ~(kHighPriority | kSynchronous)) != 0) return fail(Errno::kOpNotSupp);
  const SyscallResult done = static_cast<std::int64_t>(args.a[3]) == -1 ? sys_writev(args) : sys_pwritev(args);
  if (!done || (args.a[5] & kSynchronous) == 0) return done;
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  QUIRE_CHECK(file->sync());
  return done;
}

SyscallResult sys_lseek(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  const int whence = int_arg(args.a[2]);
  if (whence < 0 || whence > SEEK_HOLE) return fail(Errno::kInval);
  Guard guard(file->position_lock);
  return file->seek(static_cast<std::int64_t>(args.a[1]), whence);
}

constexpr SyscallEntry kEntries[] = {
    {__NR_read, "read", sys_read},          {__NR_write, "write", sys_write},
    {__NR_pread64, "pread64", sys_pread},   {__NR_pwrite64, "pwrite64", sys_pwrite},
    {__NR_readv, "readv", sys_readv},       {__NR_writev, "writev", sys_writev},
    {__NR_preadv, "preadv", sys_preadv},    {__NR_pwritev, "pwritev", sys_pwritev},
    {__NR_preadv2, "preadv2", sys_preadv2}, {__NR_pwritev2, "pwritev2", sys_pwritev2},
    {__NR_lseek, "lseek", sys_lseek},
};

}  // namespace

SyscallResult read_from(File& file, IoBuffer buffer) {
  if (!file.readable()) return fail(Errno::kBadF);
  if (static_cast<std::int64_t>(buffer.size()) < 0) return fail(Errno::kInval);
  bound(buffer);
  if (!file.has_position()) return to_syscall(file, IN_ACCESS, file.read(buffer, 0));
  Guard guard(file.position_lock);
  const Result<std::size_t> done = read_some(file, buffer, file.position);
  if (done) file.position += *done;
  return to_syscall(file, IN_ACCESS, done);
}

SyscallResult write_to(File& file, IoBuffer buffer) {
  if (!file.writable()) return fail(Errno::kBadF);
  if (static_cast<std::int64_t>(buffer.size()) < 0) return fail(Errno::kInval);
  bound(buffer);
  if (!file.has_position()) return to_syscall(file, IN_MODIFY, file.write(buffer, 0));
  Guard guard(file.position_lock);
  const Result<std::size_t> done = write_limited(file, buffer, file.position);
  if (done) {
    QUIRE_TRY(file.position, position_after_write(file, file.position, *done));
  }
  return to_syscall(file, IN_MODIFY, done);
}

SyscallResult read_from(File& file, IoBuffer buffer, std::int64_t offset) {
  if (!file.has_position()) return fail(Errno::kSPipe);
  if (!file.readable()) return fail(Errno::kBadF);
  if (static_cast<std::int64_t>(buffer.size()) < 0) return fail(Errno::kInval);
  bound(buffer);
  return to_syscall(file, IN_ACCESS, read_some(file, buffer, static_cast<std::uint64_t>(offset)));
}

SyscallResult write_to(File& file, IoBuffer buffer, std::int64_t offset) {
  if (!file.has_position()) return fail(Errno::kSPipe);
  if (!file.writable()) return fail(Errno::kBadF);
  if (static_cast<std::int64_t>(buffer.size()) < 0) return fail(Errno::kInval);
  bound(buffer);
  return to_syscall(file, IN_MODIFY, write_limited(file, buffer, static_cast<std::uint64_t>(offset)));
}

std::span<const SyscallEntry> read_write_syscalls() { return kEntries; }

}  // namespace quire::kernel
