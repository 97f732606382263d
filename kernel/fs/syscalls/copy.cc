// sendfile(2) and copy_file_range(2): from file to file through a buffer of the kernel's.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/major.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "fs/devices.h"
#include "fs/mount.h"
#include "fs/syscalls/common.h"

namespace quire::kernel {
namespace {

constexpr std::size_t kBufferSize = 32768;

/// One side of a copy: at the file's own position, or at one that the caller keeps.
class Side {
 public:
  /// `offset_address`: where the caller's position is; 0: the file has it. Errors: EFAULT, EINVAL,
  /// ESPIPE.
  Result<void> init(RefPtr<File> file, UserAddr offset_address) {
    file_ = std::move(file);
    address_ = offset_address;
    if (address_ == 0) return {};
    QUIRE_TRY(offset_, get_user<std::int64_t>(address_));
    if (offset_ < 0) return fail(Errno::kInval);
    if (!file_->has_position()) return fail(Errno::kSPipe);
    return {};
  }
  [[nodiscard]] File& file() const { return *file_; }
  [[nodiscard]] std::int64_t offset() const {
    return address_ == 0 ? static_cast<std::int64_t>(file_->position) : offset_;
  }

  SyscallResult read(std::byte* to, std::size_t size) {
    IoBuffer buffer = IoBuffer::kernel(to, size);
    return moved(address_ == 0 ? read_from(*file_, buffer) : read_from(*file_, buffer, offset_));
  }
  SyscallResult write(std::byte* from, std::size_t size) {
    IoBuffer buffer = IoBuffer::kernel(from, size);
    return moved(address_ == 0 ? write_to(*file_, buffer) : write_to(*file_, buffer, offset_));
  }
  /// Takes back what was read but could not be passed on.
  void step_back(std::size_t size) {
    if (address_ != 0) {
      offset_ -= static_cast<std::int64_t>(size);
    } else if (file_->has_position()) {
      Guard guard(file_->position_lock);
      file_->position -= size;
    }
  }
  Result<void> store_offset() const {
    return address_ == 0 ? Result<void>() : put_user(address_, offset_);
  }

 private:
  SyscallResult moved(const SyscallResult& result) {
    if (result) offset_ += *result;
    return result;
  }

  RefPtr<File> file_;
  UserAddr address_ = 0;
  std::int64_t offset_ = 0;
};

/// Moves up to `count` bytes. An error counts only if nothing was moved.
SyscallResult copy(Side& from, Side& to, std::uint64_t count) {
  const std::unique_ptr<std::byte[]> buffer =
      std::make_unique_for_overwrite<std::byte[]>(kBufferSize);
  std::int64_t done = 0;
  count = std::min<std::uint64_t>(count, kMaxTransfer);
  const auto stop = [&done](Errno error) -> SyscallResult {
    if (done > 0) return done;
    return fail(error);
  };
  while (static_cast<std::uint64_t>(done) < count) {
    const std::size_t wanted =
        std::min<std::uint64_t>(kBufferSize, count - static_cast<std::uint64_t>(done));
    const SyscallResult read = from.read(buffer.get(), wanted);
    if (!read) return stop(read.error());
    if (*read == 0) break;
    const auto size = static_cast<std::size_t>(*read);
    const SyscallResult written = to.write(buffer.get(), size);
    const std::size_t passed = written ? static_cast<std::size_t>(*written) : 0;
    if (passed < size) from.step_back(size - passed);
    if (!written) return stop(written.error());
    done += *written;
    if (passed < size) break;
  }
  return done;
}

Result<std::uint32_t> type_of(File& file) {
  QUIRE_TRY(const Attributes attributes, file.attributes());
  return attributes.mode & S_IFMT;
}

/// Linux v6.12 fs/read_write.c:do_sendfile(). The source must be something with contents; a pipe is
/// not.
SyscallResult sys_sendfile(const SyscallArgs& args) {
  QUIRE_TRY(RefPtr<File> in, file_arg(args.a[1]));
  if (!in->readable()) return fail(Errno::kBadF);
  QUIRE_TRY(RefPtr<File> out, file_arg(args.a[0]));
  if (!out->writable()) return fail(Errno::kBadF);
  Side from, to;
  QUIRE_CHECK(from.init(std::move(in), args.a[2]));
  QUIRE_CHECK(to.init(std::move(out), 0));
  QUIRE_TRY(const std::uint32_t type, type_of(from.file()));
  if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK) return fail(Errno::kInval);
  if (type == S_IFCHR) {
    // Terminals cannot be spliced from: a line at a time is what their readers want.
    QUIRE_TRY(const Attributes attributes, from.file().attributes());
    if (device_major(attributes.rdev) != MEM_MAJOR) return fail(Errno::kInval);
  }
  const SyscallResult result = copy(from, to, args.a[3]);
  QUIRE_CHECK(from.store_offset());
  return result;
}

bool overlap(const Side& a, const Side& b, std::uint64_t size) {
  const auto x = static_cast<std::uint64_t>(a.offset()), y = static_cast<std::uint64_t>(b.offset());
  return x < y + size && y < x + size;
}

/// Linux v6.12 fs/read_write.c:vfs_copy_file_range(), generic_copy_file_checks().
SyscallResult sys_copy_file_range(const SyscallArgs& args) {
  QUIRE_TRY(RefPtr<File> in, file_arg(args.a[0]));
  QUIRE_TRY(RefPtr<File> out, file_arg(args.a[2]));
  Side from, to;
  QUIRE_CHECK(from.init(std::move(in), args.a[1]));
  QUIRE_CHECK(to.init(std::move(out), args.a[3]));
  if (args.a[5] != 0) return fail(Errno::kInval);
  QUIRE_TRY(const std::uint32_t from_type, type_of(from.file()));
  QUIRE_TRY(const std::uint32_t to_type, type_of(to.file()));
  if (from_type == S_IFDIR || to_type == S_IFDIR) return fail(Errno::kIsDir);
  if (from_type != S_IFREG || to_type != S_IFREG) return fail(Errno::kInval);
  if (!from.file().readable() || !to.file().writable() || (to.file().flags.load() & O_APPEND) != 0)
    return fail(Errno::kBadF);
  const std::uint64_t size = std::min<std::uint64_t>(args.a[4], kMaxTransfer);
  if (from.file().inode == to.file().inode && overlap(from, to, size)) return fail(Errno::kInval);
  const SyscallResult result = copy(from, to, size);
  QUIRE_CHECK(from.store_offset());
  QUIRE_CHECK(to.store_offset());
  return result;
}

constexpr SyscallEntry kEntries[] = {
    {__NR_sendfile, "sendfile", sys_sendfile},
    {__NR_copy_file_range, "copy_file_range", sys_copy_file_range},
};

}  // namespace

std::span<const SyscallEntry> copy_syscalls() { return kEntries; }

}  // namespace quire::kernel
