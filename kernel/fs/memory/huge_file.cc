#include "fs/memory/huge_file.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <algorithm>

#include "fs/memory/machine_memory.h"
#include "fs/memory/node.h"
#include "fs/permission.h"
#include "mm/memory.h"
#include "quire/object/huge_object.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

/// The inode. Its size is the object's, which mappings may raise (Linux v6.12 fs/hugetlbfs/inode.c:hugetlbfs_file_mmap()).
class HugeFile final : public MemoryNode {
 public:
  HugeFile(RefPtr<MemoryFs> fs, const Credentials& owner, HugeObject& object, std::string name)
      : MemoryNode(std::move(fs), S_IFREG | 0777, owner.fsuid, owner.fsgid, 0), object_(object), name_(std::move(name)) {
    drop_link();
  }

  Result<RefPtr<File>> open(std::uint32_t flags) override;
  Result<Attributes> attributes() override {
    QUIRE_TRY(Attributes result, MemoryNode::attributes());
    result.size = object_.size().raw();
    result.block_size = unit();
    return result;
  }
  Result<std::size_t> read_at(IoBuffer& buffer, std::uint64_t offset);
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] HugeObject& object() const { return object_; }
  [[nodiscard]] const std::string& name() const { return name_; }

 protected:
  /// Linux v6.12 fs/hugetlbfs/inode.c:hugetlbfs_setattr().
  Result<void> resize(std::uint64_t size) override {
    if (size % unit() != 0) return fail(Errno::kInval);
    object_.resize(ByteCount(size));
    return {};
  }
  [[nodiscard]] std::uint64_t blocks() const override { return object_.resident().bytes().raw() / 512; }

 private:
  ~HugeFile() override {
    object_.resize(ByteCount(0));
    object_.drop_user();
  }
  [[nodiscard]] std::uint64_t unit() const { return memory().geometry().span(object_.leaf_level()).raw(); }

  HugeObject& object_;
  const std::string name_;
};

class OpenHugeFile final : public File {
 public:
  explicit OpenHugeFile(RefPtr<HugeFile> opened) : file_(std::move(opened)) {}
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override { return file_->read_at(buffer, offset); }
  Result<void> truncate(std::uint64_t size) override {
    AttributeChange change;
    change.size = size;
    return file_->set_attributes(change);
  }
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) override {
    return file_->allocate(mode, offset, length);
  }
  Result<MemoryObject*> object_to_map(MapAccess) override { return &file_->object(); }
  [[nodiscard]] std::string anonymous_name() const override { return file_->name(); }
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  const RefPtr<HugeFile> file_;
};

Result<RefPtr<File>> HugeFile::open(std::uint32_t) { return make_ref<OpenHugeFile>(RefPtr<HugeFile>(this)); }

// A page that is not there reads as zeros.
Result<std::size_t> HugeFile::read_at(IoBuffer& buffer, std::uint64_t offset) {
  std::size_t done = 0;
  while (buffer.size() != 0 && offset < object_.size().raw()) {
    const std::uint64_t in_page = offset % kPageSize;
    const std::size_t n = std::min<std::uint64_t>({buffer.size(), kPageSize - in_page, object_.size().raw() - offset});
    const PageIndex index(offset / kPageSize);
    Frame* const page = object_.page_or_null(index);
    Result<void> copied;
    if (page == nullptr) {
      copied = buffer.zero_out(n);
    } else {
      const PageCount part(index.raw() % (unit() / kPageSize));
      copied = buffer.copy_out(memory().window(memory().pfn_of(*page) + part) + in_page, n);
      if (page->put()) memory().pool().give(page);
    }
    if (!copied) {
      if (done == 0) return fail(copied.error());
      break;
    }
    offset += n;
    done += n;
  }
  touch(Touch::kAccess);
  return done;
}

// Linux v6.12 fs/hugetlbfs/inode.c:hugetlbfs_fallocate().
Result<void> HugeFile::allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) {
  if ((mode & ~std::uint32_t{FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE}) != 0) return fail(Errno::kOpNotSupp);
  const std::uint64_t end = offset + length;
  Guard guard(mutex);
  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
    // Linux clears parts of pages, here by the small page.
    const std::uint64_t first = (offset + kPageSize - 1) / kPageSize, last = end / kPageSize;
    if (first < last) object_.punch(PageIndex(first), PageIndex(last - 1));
    return {};
  }
  const std::uint64_t size = object_.size().raw(), rounded = (end + unit() - 1) / unit() * unit();
  if (size < rounded) object_.resize(ByteCount(rounded));
  Result<void> done{};
  for (std::uint64_t at = offset / unit() * unit(); at < end && done; at += unit()) {
    const auto page = object_.get_page(PageIndex(at / kPageSize), Access::kWrite);
    if (!page) {
      done = fail(Errno::kNoSpc);
    } else if (page->frame->put()) {
      memory().pool().give(page->frame);
    }
  }
  const bool keeps_size = (mode & FALLOC_FL_KEEP_SIZE) != 0 || !done;
  if (keeps_size && size < rounded) object_.resize(ByteCount(size));
  return done;
}

/// The file system of all of them, which nobody can mount.
RefPtr<MemoryFs> hidden_fs() {
  static constinit std::atomic<MemoryFs*> made{nullptr};
  if (MemoryFs* const there = made.load(std::memory_order_acquire); there != nullptr) return RefPtr<MemoryFs>(there);
  RefPtr<MemoryFs> fresh = make_ref<MemoryFs>("hugetlbfs", std::uint64_t{HUGETLBFS_MAGIC}, memory_pages(), memory_pages());
  MemoryFs* none = nullptr;
  if (!made.compare_exchange_strong(none, fresh.get(), std::memory_order_acq_rel)) return RefPtr<MemoryFs>(none);
  fresh->ref();  // it stays
  return fresh;
}

}  // namespace

// Linux v6.12 mm/memfd.c:SYSCALL_DEFINE2(memfd_create), fs/hugetlbfs/inode.c:hugetlb_file_setup().
Result<RefPtr<File>> make_huge_memfd(std::string_view name, Level level) {
  QUIRE_TRY(HugeObject* const object, HugeObject::create(memory(), {level, ByteCount(0)}));
  std::string shown = std::string("/memfd:").append(name).append(" (deleted)");
  const auto inode = make_ref<HugeFile>(hidden_fs(), current_credentials(), *object, std::move(shown));
  QUIRE_TRY(RefPtr<File> file, inode->open(O_RDWR));
  file->inode = inode;
  file->flags = O_RDWR | O_LARGEFILE;
  return file;
}

}  // namespace quire::kernel
