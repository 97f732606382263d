#include "fs/memory/memfd.h"

#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/stat.h>

#include "fs/memory/machine_memory.h"
#include "fs/memory/memory_file.h"
#include "fs/permission.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

constexpr std::uint32_t kNoWrites = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
constexpr std::uint32_t kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | kNoWrites | kSealExec;
constexpr std::uint32_t kExecuteBits = 0111;

/// The inode. Seals change under its mutex, as size and contents do.
class SealableFile final : public MemoryFile {
 public:
  SealableFile(RefPtr<MemoryFs> fs, std::uint32_t mode, const Credentials& owner, std::string name, std::uint32_t seals)
      : MemoryFile(std::move(fs), S_IFREG | mode, owner.fsuid, owner.fsgid), name_(std::move(name)), seals_(seals) {
    drop_link();
  }

  [[nodiscard]] std::string unnamed() const override { return name_; }

  Result<void> set_attributes(const AttributeChange& change) override {
    if (!change.mode) return MemoryFile::set_attributes(change);
    Guard guard(mutex);
    QUIRE_TRY(const Attributes now, attributes());
    if ((seals_ & kSealExec) != 0 && ((*change.mode ^ now.mode) & kExecuteBits) != 0) return fail(Errno::kPerm);
    return MemoryFile::set_attributes(change);  // a change of the mode alone: it does not take the mutex
  }

  /// Linux v6.12 mm/memfd.c:memfd_add_seals(), memfd_get_seals().
  Result<std::int64_t> seal_call(const File& opened, std::uint32_t command, std::uint32_t added) override {
    if (command == F_ADD_SEALS && !opened.writable()) return fail(Errno::kPerm);
    if (command == F_ADD_SEALS && (added & ~kAllSeals) != 0) return fail(Errno::kInval);
    Guard guard(mutex);
    if (command != F_ADD_SEALS) return seals_;
    if ((seals_ & F_SEAL_SEAL) != 0) return fail(Errno::kPerm);
    QUIRE_TRY(const Attributes now, attributes());
    if ((added & kSealExec) != 0 && (now.mode & kExecuteBits) != 0) added |= F_SEAL_SHRINK | F_SEAL_GROW | kNoWrites;
    const bool forbids_writing = (added & F_SEAL_WRITE) != 0 && (seals_ & F_SEAL_WRITE) == 0;
    if (forbids_writing && writable_mappings_.load() != 0) return fail(Errno::kBusy);
    seals_ |= added;
    return 0;
  }

  Result<SharedMapping> map_shared(File& opened, MapAccess first) override;
  void drop_writable_mapping() { writable_mappings_.fetch_sub(1); }

 protected:
  Result<void> check_change(Change what, std::uint64_t end) override {
    if (what != Change::kReserve && (seals_ & kNoWrites) != 0) return fail(Errno::kPerm);
    if (what != Change::kPunch && (seals_ & F_SEAL_GROW) != 0 && end > size()) return fail(Errno::kPerm);
    return {};
  }
  Result<void> resize(std::uint64_t new_size) override {
    const std::uint64_t now = size();
    if (new_size < now && (seals_ & F_SEAL_SHRINK) != 0) return fail(Errno::kPerm);
    if (new_size > now && (seals_ & F_SEAL_GROW) != 0) return fail(Errno::kPerm);
    return MemoryFile::resize(new_size);
  }

 private:
  const std::string name_;
  std::uint32_t seals_;  ///< guarded by mutex
  std::atomic<std::uint64_t> writable_mappings_{0};  ///< raised under mutex
};

/// What a shared mapping that may write holds in place of the open file, so that a seal knows that it is there. Each call of mmap makes
/// one; forks and splits share it.
class WritableMapping final : public File {
 public:
  WritableMapping(RefPtr<SealableFile> mapped, std::uint32_t open_flags) : file_(std::move(mapped)) {
    inode = file_;
    flags = open_flags;
  }
  [[nodiscard]] std::string anonymous_name() const override { return file_->unnamed(); }
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) override {
    return file_->allocate(mode, offset, length);
  }

 private:
  ~WritableMapping() override { file_->drop_writable_mapping(); }

  const RefPtr<SealableFile> file_;
};

// Linux v6.12 include/linux/mm.h:seal_check_write().
Result<SharedMapping> SealableFile::map_shared(File& opened, MapAccess first) {
  Guard guard(mutex);
  if ((seals_ & kNoWrites) != 0) {
    if (first == MapAccess::kWrites) return fail(Errno::kPerm);
    return SharedMapping{RefPtr<File>(&opened), MapAccess::kReads};
  }
  writable_mappings_.fetch_add(1);
  return SharedMapping{make_ref<WritableMapping>(RefPtr<SealableFile>(this), opened.flags.load()), MapAccess::kWrites};
}

/// The file system of all of them, which nobody can mount. Linux v6.12 mm/shmem.c:shmem_init(): without a limit of its own.
RefPtr<MemoryFs> hidden_fs() {
  static constinit std::atomic<MemoryFs*> made{nullptr};
  if (MemoryFs* const there = made.load(std::memory_order_acquire); there != nullptr) return RefPtr<MemoryFs>(there);
  RefPtr<MemoryFs> fresh = make_ref<MemoryFs>("tmpfs", std::uint64_t{TMPFS_MAGIC}, memory_pages(), memory_pages());
  MemoryFs* none = nullptr;
  if (!made.compare_exchange_strong(none, fresh.get(), std::memory_order_acq_rel)) return RefPtr<MemoryFs>(none);
  fresh->ref();  // it stays
  return fresh;
}

}  // namespace

// Linux v6.12 mm/memfd.c:SYSCALL_DEFINE2(memfd_create).
Result<RefPtr<File>> make_memfd(std::string_view name, std::uint32_t flags) {
  const bool no_exec = (flags & kMemfdNoExecSeal) != 0;
  const std::uint32_t mode = no_exec ? 0666 : 0777;
  std::uint32_t seals = F_SEAL_SEAL;
  if (no_exec) {
    seals = kSealExec;
  } else if ((flags & MFD_ALLOW_SEALING) != 0) {
    seals = 0;
  }
  const auto inode =
      make_ref<SealableFile>(hidden_fs(), mode, current_credentials(), std::string("/memfd:").append(name).append(" (deleted)"), seals);
  QUIRE_TRY(RefPtr<File> file, inode->open(O_RDWR));
  file->inode = inode;
  file->flags = O_RDWR | O_LARGEFILE;
  return file;
}

}  // namespace quire::kernel
