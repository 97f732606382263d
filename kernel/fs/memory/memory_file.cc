#include "fs/memory/memory_file.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "fs/page_cache.h"
#include "mm/memory.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kMaxSize = ~std::uint64_t{0} >> 1;  // Linux: MAX_LFS_FILESIZE

class OpenMemoryFile final : public File {
 public:
  explicit OpenMemoryFile(RefPtr<MemoryFile> opened) : file_(std::move(opened)) {}
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override {
    return file_->read_at(buffer, offset);
  }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t offset) override {
    const bool appends = (flags.load() & O_APPEND) != 0;
    return file_->write_at(buffer, offset,
                           appends ? MemoryFile::Where::kAtEnd : MemoryFile::Where::kAtOffset);
  }
  Result<std::int64_t> seek(std::int64_t offset, int whence) override {
    if (whence != SEEK_DATA && whence != SEEK_HOLE) return File::seek(offset, whence);
    if (offset < 0) return fail(Errno::kNxIo);
    QUIRE_TRY(position, file_->seek_extent(static_cast<std::uint64_t>(offset),
                                           whence == SEEK_DATA ? MemoryFile::Seek::kData
                                                               : MemoryFile::Seek::kHole));
    return static_cast<std::int64_t>(position);
  }
  Result<void> truncate(std::uint64_t size) override {
    AttributeChange change;
    change.size = size;
    return file_->set_attributes(change);
  }
  Result<void> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) override {
    return file_->allocate(mode, offset, length);
  }
  Result<MemoryObject*> object_to_map(MapAccess access) override {
    return file_->object_to_map(access);
  }
  Result<SharedMapping> map_shared(MapAccess first) override { return file_->map_shared(*this, first); }
  Result<std::int64_t> fcntl(std::uint32_t command, std::uint64_t argument) override {
    if (command != F_ADD_SEALS && command != F_GET_SEALS) return File::fcntl(command, argument);
    return file_->seal_call(*this, command, static_cast<std::uint32_t>(argument));
  }
  [[nodiscard]] std::uint32_t direct_alignment() const override { return file_->direct_alignment(); }
  [[nodiscard]] std::string anonymous_name() const override { return file_->unnamed(); }
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  RefPtr<MemoryFile> file_;
};

}  // namespace

MemoryFile::MemoryFile(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid,
                       std::uint32_t gid)
    : MemoryNode(std::move(fs), mode, uid, gid, 0) {}

MemoryFile::MemoryFile(RefPtr<MemoryFs> fs) : MemoryNode(std::move(fs), S_IFREG) {}

// No mapping is left: each keeps the open file, and that the inode.
MemoryFile::~MemoryFile() {
  FileObject* const object = object_or_null();
  if (object == nullptr) return;
  object->retire();
  object->drop_user();
}

Result<RefPtr<File>> MemoryFile::open(std::uint32_t) {
  return make_ref<OpenMemoryFile>(RefPtr<MemoryFile>(this));
}

FileObject::Config MemoryFile::object_config() {
  return {.leaf_class = LeafClass::kShmem,
          .size = ByteCount(size()),
          .account = this};
}

/// Made at first use, as large as the file then is: nobody changes that without the object. Pre: attributes are loaded.
Result<FileObject*> MemoryFile::object() {
  if (FileObject* const made = object_or_null(); made != nullptr) return made;
  QUIRE_TRY(FileObject* const fresh, FileObject::create(memory(), object_config()));
  FileObject* none = nullptr;
  if (object_.compare_exchange_strong(none, fresh, std::memory_order_acq_rel)) return fresh;
  fresh->drop_user();
  return none;
}

Result<MemoryObject*> MemoryFile::object_to_map(MapAccess access) {
  QUIRE_CHECK(ensure_loaded());
  if (access == MapAccess::kWrites) QUIRE_CHECK(before_change());
  QUIRE_TRY(FileObject* const mapped, object());
  return mapped;
}

Result<void> MemoryFile::charge() {
  if (!fs().budget().try_charge(1)) return fail(Errno::kNoSpc);
  return {};
}

std::uint64_t MemoryFile::blocks() const {
  const FileObject* const object = object_or_null();
  return object == nullptr ? 0 : object->owned().raw() * (kPageSize / 512);
}

Result<Frame*> MemoryFile::page_to_write(FileObject& object, std::uint64_t index) {
  Result<Frame*> page = object.page_for_write(PageIndex(index));
  if (!page && page.error() == Errno::kNoMem && drop_file_caches()) page = object.page_for_write(PageIndex(index));
  // Linux v6.12 mm/shmem.c: there, too, memory that is full is a full device.
  if (!page && page.error() == Errno::kNoMem) return fail(Errno::kNoSpc);
  return page;
}

Result<std::size_t> MemoryFile::read_at(IoBuffer& buffer, std::uint64_t offset) {
  QUIRE_CHECK(ensure_loaded());
  QUIRE_TRY(FileObject* const from, object());
  const auto page_at = [this, from](std::uint64_t index) -> Result<Frame*> {
    if (index * kPageSize >= end_of_lower_data()) return from->page_or_null(PageIndex(index));
    return page_to_read(*from, index);
  };
  QUIRE_TRY(const std::size_t done, read_pages(*from, buffer, offset, page_at));
  touch(Touch::kAccess);
  return done;
}

Result<void> MemoryFile::write_page(FileObject& object, IoBuffer& buffer, std::uint64_t offset,
                                    std::size_t n) {
  // A bad pointer is to leave no trace; one that ends in the middle leaves a page, as on Linux.
  QUIRE_CHECK(buffer.check_next());
  QUIRE_CHECK(check_change(Change::kWrite, offset + n));
  QUIRE_TRY(Frame* const page, page_to_write(object, offset / kPageSize));
  const Result<void> copied = buffer.copy_in(memory().contents(*page) + offset % kPageSize, n);
  object.put_page(*page);
  return copied;
}

Result<std::size_t> MemoryFile::write_at(IoBuffer& buffer, std::uint64_t offset, Where where) {
  QUIRE_CHECK(ensure_loaded());
  QUIRE_CHECK(before_change());
  QUIRE_TRY(FileObject* const to, object());
  Guard guard(mutex);
  if (where == Where::kAtEnd) offset = size();
  if (buffer.size() > 0 && offset >= kMaxSize) return fail(Errno::kFBig);
  buffer.limit(std::min<std::uint64_t>(buffer.size(), kMaxSize - offset));
  std::size_t done = 0;
  while (buffer.size() > 0) {
    const std::size_t n = std::min(buffer.size(), kPageSize - offset % kPageSize);
    if (const auto written = write_page(*to, buffer, offset, n); !written) {
      if (done == 0) return fail(written.error());
      break;
    }
    offset += n;
    done += n;
    if (offset > size()) {
      set_size(offset);
      to->resize(ByteCount(offset));
    }
  }
  if (done > 0) {
    drop_privileges();
    touch(Touch::kModify);
    on_written();
  }
  return done;
}

/// Makes bytes of one page zero. Pre: they are in one page or its whole.
Result<void> MemoryFile::zero_range(FileObject& object, std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t index = begin / kPageSize;
  Frame* page = object.page_or_null(PageIndex(index));
  if (page == nullptr && begin >= end_of_lower_data()) return {};
  if (page != nullptr) object.put_page(*page);
  QUIRE_TRY(page, page_to_write(object, index));
  std::memset(memory().contents(*page) + begin % kPageSize, 0, end - begin);
  object.put_page(*page);
  return {};
}

Result<void> MemoryFile::resize(std::uint64_t new_size) {
  if (new_size > kMaxSize) return fail(Errno::kFBig);
  QUIRE_TRY(FileObject* const cut, object());
  if (new_size < size()) on_cut(new_size);  // first: what is cut off is not to be read from below again
  set_size(new_size);
  cut->resize(ByteCount(new_size));
  drop_privileges();
  on_written();
  return {};
}

/// Makes [begin, end) a hole. Whole pages go; parts of pages, and what a lower file would show,
/// become zeros.
Result<void> MemoryFile::punch(FileObject& object, std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t bare = std::max(begin, end_of_lower_data());
  const std::uint64_t first_whole = (bare + kPageSize - 1) / kPageSize,
                      last_whole = end / kPageSize;
  if (first_whole < last_whole) object.punch(PageIndex(first_whole), PageIndex(last_whole - 1));
  for (std::uint64_t at = begin; at < end;) {
    if (at % kPageSize == 0 && at / kPageSize >= first_whole && at / kPageSize < last_whole) {
      at = last_whole * kPageSize;
      continue;
    }
    const std::uint64_t next = std::min(end, (at / kPageSize + 1) * kPageSize);
    QUIRE_CHECK(zero_range(object, at, next));
    at = next;
  }
  return {};
}

/// Gives every page of [begin, end) memory.
Result<void> MemoryFile::populate(FileObject& object, std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t first = begin / kPageSize, last = (end - 1) / kPageSize;
  PageBudget& budget = fs().budget();
  if (last - first >= budget.limit() - budget.used() + object.owned().raw()) return fail(Errno::kNoSpc);
  for (std::uint64_t index = first; index <= last; ++index) {
    QUIRE_TRY(Frame* const page, page_to_write(object, index));
    object.put_page(*page);
  }
  return {};
}

Result<void> MemoryFile::allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) {
  constexpr std::uint32_t kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != kPunch) return fail(Errno::kOpNotSupp);
  if (length > kMaxSize || offset > kMaxSize - length) return fail(Errno::kFBig);
  QUIRE_CHECK(ensure_loaded());
  QUIRE_CHECK(before_change());
  QUIRE_TRY(FileObject* const changed, object());
  Guard guard(mutex);
  const std::uint64_t end = offset + length;
  QUIRE_CHECK(check_change(mode == kPunch ? Change::kPunch : Change::kReserve, end));
  if (mode == kPunch) {
    if (offset < size()) QUIRE_CHECK(punch(*changed, offset, std::min(end, size())));
  } else {
    QUIRE_CHECK(populate(*changed, offset, end));
  }
  if (mode == 0 && end > size()) {
    set_size(end);
    changed->resize(ByteCount(end));
  }
  touch(Touch::kModify);
  on_written();
  return {};
}

Result<std::uint64_t> MemoryFile::seek_extent(std::uint64_t offset, Seek what) {
  QUIRE_CHECK(ensure_loaded());
  QUIRE_TRY(FileObject* const asked, object());
  Guard guard(mutex);
  const std::uint64_t end = size();
  if (offset >= end) return fail(Errno::kNxIo);
  const std::uint64_t lower_end = end_of_lower_data();
  if (what == Seek::kHole) {
    std::uint64_t hole = std::max(offset, lower_end);
    const PageIndex index = asked->next_hole(PageIndex(hole / kPageSize));
    if (index.raw() != hole / kPageSize) hole = index.raw() * kPageSize;
    return std::min(hole, end);
  }
  if (offset < lower_end) return offset;
  const std::optional<PageIndex> index = asked->next_owned(PageIndex(offset / kPageSize));
  if (!index || index->raw() >= (end + kPageSize - 1) / kPageSize) return fail(Errno::kNxIo);
  return std::max(offset, index->raw() * kPageSize);
}

}  // namespace quire::kernel
