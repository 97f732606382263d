// What open files and inodes do by default: what Linux answers where an operation is missing.
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <sys/stat.h>

#include "fs/dentry.h"
#include "fs/file_locks.h"
#include "fs/notify.h"
#include "fs/vfs.h"
#include "ipc/epoll.h"

namespace quire::kernel {

File::File() = default;

File::~File() { release_file_locks(*this); }

Result<std::size_t> File::read(IoBuffer&, std::uint64_t) { return fail(Errno::kInval); }

Result<std::size_t> File::write(IoBuffer&, std::uint64_t) { return fail(Errno::kInval); }

Result<std::int64_t> File::seek(std::int64_t offset, int whence) {
  if (!has_position()) return fail(Errno::kSPipe);
  std::int64_t base = 0;
  switch (whence) {
    case SEEK_SET:
      break;
    case SEEK_CUR:
      base = static_cast<std::int64_t>(position);
      break;
    case SEEK_END:
    case SEEK_DATA:
    case SEEK_HOLE: {
      QUIRE_TRY(const Attributes now, attributes());
      const auto size = static_cast<std::int64_t>(now.size);
      if (whence == SEEK_END) {
        base = size;
        break;
      }
      // All of a file counts as data, as Linux has it for file systems that do not know better
      // (fs/read_write.c:generic_file_llseek()).
      if (offset < 0 || offset >= size) return fail(Errno::kNxIo);
      if (whence == SEEK_HOLE) offset = size;
      break;
    }
    default:
      return fail(Errno::kInval);
  }
  std::int64_t result = 0;
  if (__builtin_add_overflow(base, offset, &result)) return fail(Errno::kOverflow);
  if (result < 0) return fail(Errno::kInval);
  position = static_cast<std::uint64_t>(result);
  return result;
}

Result<std::int64_t> File::ioctl(std::uint32_t, std::uint64_t) { return fail(Errno::kNotTty); }

Result<std::int64_t> File::fcntl(std::uint32_t command, std::uint64_t) {
  return fail(command == F_GETPIPE_SZ || command == F_SETPIPE_SZ ? Errno::kBadF : Errno::kInval);
}

std::string File::anonymous_name() const { return "anon_inode:[file]"; }

PollMask File::poll(Listener*) { return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM; }

Result<void> File::truncate(std::uint64_t) { return fail(Errno::kInval); }

Result<void> File::punch(PageIndex first, PageCount count) {
  return allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first.raw() << kPageShift, count.bytes().raw());
}

Result<void> File::allocate(std::uint32_t, std::uint64_t, std::uint64_t) {
  return fail(Errno::kOpNotSupp);
}

Result<void> File::sync() { return {}; }

Result<MemoryObject*> File::object_to_map(MapAccess) { return fail(Errno::kNoDev); }

Result<SharedMapping> File::map_shared(MapAccess) {
  return SharedMapping{RefPtr<File>(this), MapAccess::kWrites};
}

namespace {
constinit std::atomic<File*> released_files{nullptr};
}  // namespace

void File::release() {
  if (unref_unless_last()) return;
  next_released_ = released_files.load(std::memory_order_relaxed);
  while (!released_files.compare_exchange_weak(next_released_, this, std::memory_order_release)) {
  }
}

void drop_released_files() {
  if (released_files.load(std::memory_order_relaxed) == nullptr) return;
  File* file = released_files.exchange(nullptr, std::memory_order_acquire);
  while (file != nullptr) {
    File* const next = file->next_released_;
    file->unref();
    file = next;
  }
}

Result<void> File::read_directory(std::uint64_t&,
                                  bool (*)(void*, const DirectoryEntry&, std::uint64_t), void*) {
  return fail(Errno::kNotDir);
}

Result<Attributes> File::attributes() {
  if (inode) return inode->attributes();
  Attributes anonymous;
  anonymous.mode = 0600;
  return anonymous;
}

bool File::nonblocking() const { return (flags.load() & O_NONBLOCK) != 0; }

void hold_open(File& file) { file.descriptors.fetch_add(1); }

void let_go_open(RefPtr<File> file) {
  if (file->descriptors.fetch_sub(1) != 1) return;
  if ((file->flags.load() & O_PATH) == 0) notify(*file, file->writable() ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
  if (file->epoll_items.load() != nullptr) leave_epolls(*file);
  file->on_close();
}

Result<void> Inode::set_attributes(const AttributeChange&) { return fail(Errno::kPerm); }

Result<std::string> Inode::read_link() { return fail(Errno::kInval); }

Result<RefPtr<Inode>> Inode::lookup(std::string_view) { return fail(Errno::kNotDir); }

Result<RefPtr<Inode>> Inode::create(std::string_view, std::uint32_t, std::uint64_t) {
  return fail(Errno::kRoFs);
}

Result<RefPtr<Inode>> Inode::symlink(std::string_view, std::string_view) {
  return fail(Errno::kRoFs);
}

Result<void> Inode::link(std::string_view, Inode&) { return fail(Errno::kRoFs); }

Result<void> Inode::unlink(std::string_view) { return fail(Errno::kRoFs); }

Result<void> Inode::rmdir(std::string_view) { return fail(Errno::kRoFs); }

Result<void> Inode::rename(std::string_view, Inode&, std::string_view, std::uint32_t) {
  return fail(Errno::kRoFs);
}

Result<std::uint32_t> Inode::type() {
  QUIRE_TRY(const Attributes now, attributes());
  return now.mode & S_IFMT;
}

RefPtr<File> Inode::already_open() { return nullptr; }

Result<RefPtr<Dentry>> Inode::follow_link() { return RefPtr<Dentry>(); }

Result<void> Inode::lookup_ahead(std::span<const std::string_view> names,
                                 std::vector<RefPtr<Inode>>& found) {
  QUIRE_TRY(RefPtr<Inode> first, lookup(names.front()));
  found.push_back(std::move(first));
  return {};
}

}  // namespace quire::kernel
