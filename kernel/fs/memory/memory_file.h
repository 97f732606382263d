// A regular file in memory, and its open form.
//
// Life cycle: as any inode; the contents go when the last name, the last open file and the last
// mapping (which keeps the open file) are gone. Contents are the pages of a FileObject of core: read,
// written and mapped there. The inode's mutex is held over changes of size and contents by system
// calls; nothing that a page fault does takes it, so it may be held while bytes are copied. Bytes of
// the last page beyond the size are zero. Overlay files (fs/overlay/) differ only in what an absent
// page shows.
#pragma once

#include "fs/memory/node.h"
#include "quire/object/file_object.h"

namespace quire::kernel {

class MemoryFile : public MemoryNode, private PageAccount {
 public:
  MemoryFile(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid);

  Result<RefPtr<File>> open(std::uint32_t flags) override;

  /// Errors: EFAULT if nothing could be copied; ENOMEM; what a lower file reports.
  Result<std::size_t> read_at(IoBuffer& buffer, std::uint64_t offset);
  enum class Where : std::uint8_t { kAtOffset, kAtEnd };
  /// Errors: EFBIG, ENOSPC, EFAULT: only if nothing could be written.
  Result<std::size_t> write_at(IoBuffer& buffer, std::uint64_t offset, Where where);
  /// fallocate(2) with its mode. Errors: EOPNOTSUPP, EFBIG, ENOSPC.
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length);
  /// The start of the next data (`hole` kNo) or hole at or after `offset`, at most the size.
  /// Errors: ENXIO beyond the end.
  enum class Seek : std::uint8_t { kData, kHole };
  Result<std::uint64_t> seek_extent(std::uint64_t offset, Seek what);
  /// The object to map.
  Result<MemoryObject*> object_to_map(MapAccess access);

  /// As File::direct_alignment(): memory can be read and written at any place.
  [[nodiscard]] virtual std::uint32_t direct_alignment() const { return 1; }
  /// What open files without a name are called.
  [[nodiscard]] virtual std::string unnamed() const { return "anon_inode:[file]"; }
  /// F_ADD_SEALS and F_GET_SEALS: only files of memfd_create(2) can be sealed (fs/memory/memfd.h).
  virtual Result<std::int64_t> seal_call(const File& /*opened*/, std::uint32_t /*command*/, std::uint32_t /*added*/) {
    return fail(Errno::kInval);
  }
  /// As File::map_shared().
  virtual Result<SharedMapping> map_shared(File& opened, MapAccess /*first*/) {
    return SharedMapping{RefPtr<File>(&opened), MapAccess::kWrites};
  }

 protected:
  /// A file whose attributes come by load().
  explicit MemoryFile(RefPtr<MemoryFs> fs);
  ~MemoryFile() override;

  Result<void> resize(std::uint64_t size) override;
  /// Whether bytes up to `end` may be written, be made a hole, get memory. Pre: the mutex is held.
  enum class Change : std::uint8_t { kWrite, kPunch, kReserve };
  virtual Result<void> check_change(Change /*what*/, std::uint64_t /*end*/) { return {}; }
  [[nodiscard]] std::uint64_t blocks() const override;

  /// What an absent page is, and what mapped pages count as.
  [[nodiscard]] virtual FileObject::Config object_config();
  /// The object if there is one.
  [[nodiscard]] FileObject* object_or_null() const { return object_.load(std::memory_order_acquire); }
  /// The first offset at or after which an absent page is zeros.
  [[nodiscard]] virtual std::uint64_t end_of_lower_data() { return 0; }
  /// The contents from `size` on are cut off. Pre: the mutex is held.
  virtual void on_cut(std::uint64_t /*size*/) {}
  /// The contents have been written to.
  virtual void on_written() {}

 private:
  Result<void> charge() override;
  void uncharge(PageCount pages) override { fs().budget().uncharge(pages.raw()); }
  Result<FileObject*> object();
  Result<Frame*> page_to_write(FileObject& object, std::uint64_t index);
  Result<void> write_page(FileObject& object, IoBuffer& buffer, std::uint64_t offset, std::size_t n);
  Result<void> zero_range(FileObject& object, std::uint64_t begin, std::uint64_t end);
  Result<void> punch(FileObject& object, std::uint64_t begin, std::uint64_t end);
  Result<void> populate(FileObject& object, std::uint64_t begin, std::uint64_t end);

  std::atomic<FileObject*> object_{nullptr};
};

}  // namespace quire::kernel
