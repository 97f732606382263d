// The virtual file system: inodes, open files, names, mounts.
//
// Life cycle: an Inode is counted and lives as long as something names or opens it. A Dentry is a name in the tree, cached; a negative
// dentry has no inode. A File is one open(2); descriptors share it. Locks: see each class; a directory's mutex (Inode::mutex) is held
// over changes of its names, parent before child; Files have no lock but an offset mutex.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ref_ptr.h"
#include "quire/base/errno.h"
#include "quire/vma/vma.h"
#include "sched/wait.h"
#include "sync/lock.h"

namespace quire::kernel {

/// A process as files know it: its number, and when it began, since numbers are given away again.
struct ProcessBirth {
  std::int32_t pid;
  std::uint64_t start_ns;
};

class Inode;
class File;
class Dentry;
class ExtendedAttributes;
struct Credentials;
struct FifoState;
struct EpollItem;

/// struct timespec's resolution, nanoseconds since the epoch.
struct FileTimes {
  std::int64_t access_ns = 0, modify_ns = 0, change_ns = 0;
};

/// What stat reports. `mode` has the S_IF* bits.
struct Attributes {
  std::uint64_t device = 0, inode = 0;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::uint64_t links = 1, size = 0, blocks = 0, block_size = 4096, rdev = 0;
  FileTimes times;
};

/// Which attributes set_attributes() changes.
struct AttributeChange {
  std::optional<std::uint32_t> mode, uid, gid;
  std::optional<std::uint64_t> size;
  std::optional<std::int64_t> access_ns, modify_ns;
};

struct DirectoryEntry {
  std::string name;
  std::uint64_t inode = 0;
  std::uint8_t type = 0;  ///< DT_*
};

/// One contiguous piece of memory (struct iovec without pointers).
struct IoPiece {
  std::uint64_t address = 0;
  std::size_t size = 0;
};

/// Bytes that may come from or go to user or kernel memory: what read and write move.
class IoBuffer {
 public:
  static IoBuffer user(std::uint64_t address, std::size_t size);
  /// The pieces one after the other (readv, writev); they must outlive the buffer.
  static IoBuffer user(std::span<const IoPiece> pieces);
  static IoBuffer kernel(void* address, std::size_t size);
  /// As user(pieces), in kernel memory.
  static IoBuffer kernel(std::span<const IoPiece> pieces);
  [[nodiscard]] std::size_t size() const { return size_; }  ///< bytes left
  [[nodiscard]] bool is_user() const { return is_user_; }
  /// The next bytes that lie together. Pre: there are some.
  [[nodiscard]] IoPiece front() const;
  /// Passes over the next `n` bytes. Pre: there are as many.
  void skip(std::size_t n) { static_cast<void>(advance(n, [](std::uint64_t, std::size_t) { return Result<void>(); })); }
  /// Only the next `n` bytes count. Pre: there are as many; whoever narrowed a buffer may widen it again.
  void limit(std::size_t n) { size_ = n; }
  /// Moves bytes and advances. Errors: EFAULT.
  Result<void> copy_in(void* to, std::size_t n);          ///< from the buffer (write)
  Result<void> copy_out(const void* from, std::size_t n); ///< into the buffer (read)
  Result<void> zero_out(std::size_t n);
  /// Whether the next byte can be read (write): EFAULT if not. Moves nothing.
  Result<void> check_next() const;

 private:
  static IoBuffer of(std::span<const IoPiece> pieces);
  /// Calls move(address, bytes) for each contiguous part of the next `n` bytes, and advances past it.
  template <typename Move>
  Result<void> advance(std::size_t n, Move move) {
    while (n > 0) {
      if (piece_ == 0) {
        if (rest_.empty()) return fail(Errno::kFault);
        address_ = rest_.front().address;
        piece_ = rest_.front().size;
        rest_ = rest_.subspan(1);
        continue;
      }
      const std::size_t part = n < piece_ ? n : piece_;
      QUIRE_CHECK(move(address_, part));
      address_ += part;
      piece_ -= part;
      size_ -= part < size_ ? part : size_;
      n -= part;
    }
    return {};
  }

  std::uint64_t address_ = 0;
  std::size_t piece_ = 0;  ///< bytes left at address_
  std::size_t size_ = 0;
  std::span<const IoPiece> rest_;  ///< pieces after this one
  bool is_user_ = false;
};

/// What poll reports: POLLIN, POLLOUT, POLLHUP, POLLERR …
using PollMask = std::uint32_t;

/// The same for nearly all devices that file systems are on.
inline constexpr std::uint32_t kSectorSize = 512;

/// Classes of files that some system calls are for alone; such a call casts what says so.
enum class FileKind : std::uint8_t { kOther, kPipe, kEpoll, kSignals, kTimer, kProcess, kSocket, kInotify };

/// What a mapping may do to its file.
enum class MapAccess : std::uint8_t { kReads, kWrites };
struct SharedMapping;

/// An open file. Subclasses implement what they can; the defaults answer as Linux does for files without the operation.
class File : public RefCounted, public VmaLabel {
 public:
  /// Moves up to buffer.size() bytes at `offset` (files without position ignore it). 0 at end of file. Blocks unless nonblocking().
  virtual Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset);   // EINVAL
  virtual Result<std::size_t> write(IoBuffer& buffer, std::uint64_t offset);  // EINVAL
  /// Moves `position`; the caller holds position_lock. Files with a position seek by attributes().size; others: ESPIPE
  virtual Result<std::int64_t> seek(std::int64_t offset, int whence);
  virtual Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument);  // ENOTTY
  /// fcntl(2) commands that only some files have: F_GETPIPE_SZ, F_SETPIPE_SZ; F_ADD_SEALS, F_GET_SEALS.
  virtual Result<std::int64_t> fcntl(std::uint32_t command, std::uint64_t argument);  // EBADF; EINVAL
  /// What /proc/PID/fd/N shows for a file opened without a name: "pipe:[7]", "anon_inode:[eventfd]".
  [[nodiscard]] virtual std::string anonymous_name() const;                           // "anon_inode:[file]"
  /// Ready events now; if `listener` is given, first enqueues it wherever a change will be announced.
  virtual PollMask poll(Listener* listener);  // always readable and writable
  /// Whether an epoll may watch it: whether poll() can say anything but the default.
  [[nodiscard]] virtual bool can_poll() const { return false; }
  [[nodiscard]] virtual FileKind kind() const { return FileKind::kOther; }
  /// What O_DIRECT wants offsets and sizes to be multiples of; 0: it cannot be opened so.
  [[nodiscard]] virtual std::uint32_t direct_alignment() const { return 0; }
  virtual Result<void> truncate(std::uint64_t size);                          // EINVAL
  /// fallocate(2) with its FALLOC_FL_* mode.
  virtual Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length);  // EOPNOTSUPP
  virtual Result<void> sync();                                                // ok
  /// A descriptor of it is closed: what this says is what close(2) says. The file may go on being open.
  virtual Result<void> flush() { return {}; }
  Result<void> store(PageIndex /*first*/, PageCount /*count*/) override { return sync(); }
  /// What mmap(2) maps: the file's object, which the file keeps alive.
  /// Null: anonymous memory (/dev/zero).
  virtual Result<MemoryObject*> object_to_map(MapAccess access);              // ENODEV
  /// What a shared mapping of the file, which is open for writing, holds and may ever do; `first` is what it is made for. Errors: EPERM
  /// (seals).
  virtual Result<SharedMapping> map_shared(MapAccess first);                  // this, and to write
  /// Entries from the directory position `offset` on, without "." and ".." (getdents adds them; offsets are the directory's own,
  /// below 2^62, and 0 is the start). Calls sink with each entry and the position after it until sink returns false (that entry does not
  /// count). Updates offset. ENOTDIR
  virtual Result<void> read_directory(std::uint64_t& offset, bool (*sink)(void*, const DirectoryEntry&, std::uint64_t next), void* context);
  Result<void> punch(PageIndex first, PageCount count) override;
  // VmaLabel: mappings of a file keep it open. The last one may go under locks; the file ends afterwards (drop_released_files()).
  void hold() final { ref(); }
  void release() final;
  /// Called when the last descriptor of this open file is closed.
  virtual void on_close() {}

  [[nodiscard]] virtual Result<Attributes> attributes();
  [[nodiscard]] bool readable() const { return (flags.load() & 3) != 1; }
  [[nodiscard]] bool writable() const { return (flags.load() & 3) != 0; }
  [[nodiscard]] bool nonblocking() const;
  /// Whether read and write use and move `position`.
  [[nodiscard]] virtual bool has_position() const { return false; }

  RefPtr<Inode> inode;                    ///< null for files without one
  RefPtr<Dentry> dentry;                  ///< the name it was opened by, for /proc/PID/fd and fchdir
  std::atomic<std::uint32_t> flags{0};    ///< O_* as fcntl(F_GETFL) reports
  std::atomic<std::uint32_t> descriptors{0};  ///< slots of descriptor tables that name it; FdTable's
  Mutex position_lock;
  std::uint64_t position = 0;
  /// What epolls know of it (ipc/epoll.h), under their lock; taken down when the last descriptor is closed.
  std::atomic<EpollItem*> epoll_items{nullptr};

 private:
  friend void drop_released_files();
  File* next_released_ = nullptr;

 protected:
  File();
  ~File() override;
};

struct SharedMapping {
  RefPtr<File> keeps;
  MapAccess may;
};

/// A descriptor's share in an open file: for descriptor tables, and for files on their way in a message. The last one to go ends what
/// belongs to descriptors (on_close(), epoll), so let_go_open() may sleep.
void hold_open(File& file);
void let_go_open(RefPtr<File> file);

/// Ends files whose last mapping is gone. Called where a thread may sleep and holds nothing: on its way out of a system call.
void drop_released_files();

/// A file system object. Directory operations get names without slashes.
class Inode : public RefCounted {
 public:
  [[nodiscard]] virtual Result<Attributes> attributes() = 0;
  virtual Result<void> set_attributes(const AttributeChange& change);                 // EPERM
  virtual Result<RefPtr<File>> open(std::uint32_t flags) = 0;
  virtual Result<std::string> read_link();                                            // EINVAL
  virtual Result<RefPtr<Inode>> lookup(std::string_view name);                        // ENOTDIR
  /// Regular file, directory (S_IFDIR), device or fifo by `mode`.
  virtual Result<RefPtr<Inode>> create(std::string_view name, std::uint32_t mode, std::uint64_t rdev);  // EROFS
  virtual Result<RefPtr<Inode>> symlink(std::string_view name, std::string_view target);                // EROFS
  virtual Result<void> link(std::string_view name, Inode& target);                    // EROFS
  virtual Result<void> unlink(std::string_view name);                                 // EROFS
  virtual Result<void> rmdir(std::string_view name);                                  // EROFS
  virtual Result<void> rename(std::string_view name, Inode& new_parent, std::string_view new_name, std::uint32_t flags);  // EROFS
  /// Called, with the directory's mutex held, before this inode's name is removed, moved or exchanged.
  virtual Result<void> before_rename() { return {}; }
  /// Whether a cached dentry may be used without asking again. procfs says no.
  [[nodiscard]] virtual bool cacheable() const { return true; }
  /// Whether a name that lookup() did not find here may be remembered as absent.
  [[nodiscard]] virtual bool caches_absence() const { return cacheable(); }
  /// The S_IFMT bits, which never change; may be cheaper than attributes(), which the default asks.
  [[nodiscard]] virtual Result<std::uint32_t> type();
  /// Symbolic links that do not lead where their text says (/proc/PID/fd/N, exe, cwd, root): the name they lead to (see dentry_of()).
  /// Null, the default: go by read_link().
  virtual Result<RefPtr<Dentry>> follow_link();
  /// Looks up `names`, each in what the one before is, and appends the inodes to `found`. May stop early at any point after the first.
  /// Errors: as lookup(), for the first name only.
  virtual Result<void> lookup_ahead(std::span<const std::string_view> names, std::vector<RefPtr<Inode>>& found);
  /// The open file that this inode stands for, if opening it again means that very one (dentry_of()).
  virtual RefPtr<File> already_open();
  /// The process that a directory of /proc is about, for calls that take such a directory for it; none for everything else.
  [[nodiscard]] virtual std::optional<ProcessBirth> process() const { return {}; }
  /// The extended attributes (fs/extended_attributes.h); null: there cannot be any. Pre: the mutex is held, which guards them.
  virtual ExtendedAttributes* extended_attributes() { return nullptr; }
  /// What open_fifo() keeps for a named pipe; null for everything else.
  virtual FifoState* fifo() { return nullptr; }

  Mutex mutex;  ///< guards the names in a directory, the size and contents of a file
};

/// A process's descriptors. Shared by CLONE_FILES. Slots carry the close-on-exec flag.
class FdTable : public RefCounted {
 public:
  /// Takes the lowest free slot from `lowest` on, which get() does not see until fill(). EMFILE; EINVAL if `lowest` is beyond the limit.
  Result<int> reserve(int lowest);
  void fill(int fd, RefPtr<File> file, bool close_on_exec);
  void release(int fd);  ///< gives a reserved slot back
  Result<int> install(RefPtr<File> file, int lowest, bool close_on_exec);  ///< EMFILE beyond `limit`
  Result<RefPtr<File>> get(int fd);                                        ///< EBADF
  Result<void> close(int fd);
  Result<int> dup_to(int from, int to, bool close_on_exec);
  RefPtr<FdTable> clone();
  void close_on_exec();
  void close_all();
  Result<bool> close_on_exec_flag(int fd);
  Result<void> set_close_on_exec_flag(int fd, bool on);
  /// Open descriptors in ascending order, for /proc/PID/fd and close_range.
  std::vector<int> open_fds();
  std::uint64_t limit = 1024;  ///< RLIMIT_NOFILE

 private:
  struct Slot {
    RefPtr<File> file;
    bool close_on_exec = false;
    bool reserved = false;
  };
  static constexpr std::size_t kChunkSlots = 128;
  using Chunk = std::array<Slot, kChunkSlots>;

  ~FdTable() override;
  /// The slot of `fd` if its chunk exists, or null.
  Slot* slot_locked(int fd);
  Slot* make_slot_locked(int fd);
  Result<int> find_free_locked(int lowest);
  static RefPtr<File> take(Slot& slot);
  static void put(Slot& slot, RefPtr<File> file, bool close_on_exec);
  void drop(RefPtr<File> file);

  Mutex mutex_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

/// Root, working directory and umask. Shared by CLONE_FS.
class FsContext : public RefCounted {
 public:
  RefPtr<FsContext> clone();
  Mutex mutex;
  RefPtr<Dentry> root, cwd;
  std::uint32_t umask = 022;
};

/// Builds the name space for the launch record: 9p root with overlay, /tmp, /dev, /dev/shm, /proc. Called once, in a thread that may sleep.
Result<void> mount_everything();
/// The first process' context: root, and `cwd` or / if there is no such directory.
RefPtr<FsContext> initial_fs_context(std::string_view cwd);
/// Opens fds 0, 1, 2 of the first process according to the launch record.
Result<void> open_standard_files(FdTable& table);
/// Resolves and opens `path` for reading an executable: a regular file with an execute bit for the caller. ENOENT, EACCES, EISDIR→EACCES …
Result<RefPtr<File>> open_executable(std::string_view path);
/// open(2) from inside the kernel, in the current task's context.
Result<RefPtr<File>> open_path(std::string_view path, std::uint32_t flags, std::uint32_t mode);
/// Reads exactly or up to `size` bytes at `offset` from inside the kernel.
Result<std::size_t> read_file(File& file, void* to, std::size_t size, std::uint64_t offset);
/// The absolute path of a dentry, as /proc and getcwd show it: below the caller's root; " (deleted)" follows if it has none any more.
std::string path_of(Dentry& dentry);
/// What /proc/PID/fd/N leads to: the name the file was opened by, or, for files without one, a dentry that names nothing and opens
/// `file` itself or its inode again. `name` is then what path_of() shows ("pipe:[7]").
RefPtr<Dentry> dentry_of(File& file, std::string_view name);
/// Regular files written in the overlay of the root that are still there: what ends with the machine.
unsigned overlay_files_written();
/// Written bytes that no file system took, and why.
struct LostWrites {
  std::uint64_t bytes = 0;
  Errno error{0};
};
/// Stores what was written and is not stored, for the last time. What cannot be is given up.
LostWrites store_for_the_last_time();
/// Drops every mount and cached name at the end; open files keep what they hold.
void drop_file_systems();

}  // namespace quire::kernel
