#include "fs/nine_p/open_file.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>

#include <algorithm>
#include <memory>

namespace quire::kernel::nine_p {

Result<std::size_t> StableFile::read(IoBuffer& buffer, std::uint64_t offset) {
  QUIRE_TRY(const Fid fid, file_->fid());
  return read_on(file_->client(), fid, buffer, offset);
}

OpenFile::OpenFile(RefPtr<OpenFid> fid) : fid_(std::move(fid)), contents_(SharedContents::find(file())) {
  if (contents_) errors_seen_ = contents_->errors().mark();
}

// The last descriptor and the last mapping are gone: what they wrote is stored.
OpenFile::~OpenFile() {
  if (contents_ && writable()) contents_->store_or_keep();
}

RefPtr<SharedContents> OpenFile::contents() {
  {
    const Guard guard(lock_);
    if (contents_) return contents_;
  }
  RefPtr<SharedContents> found = SharedContents::find(file());
  if (found) meet(found);
  return found;
}

void OpenFile::meet(const RefPtr<SharedContents>& contents) {
  const Guard guard(lock_);
  if (!contents_) contents_ = contents;
}

Result<MemoryObject*> OpenFile::object_to_map(MapAccess access) {
  const Guard guard(file().mutex);  // writes that are on their way to the server alone
  RefPtr<SharedContents> mapped = contents();
  if (!mapped) {
    QUIRE_TRY(mapped, SharedContents::of(fid_));
    meet(mapped);
  }
  QUIRE_CHECK(mapped->revalidate(file()));
  if (access == MapAccess::kWrites) mapped->set_writer(fid_);
  return &mapped->object();
}

Result<std::size_t> OpenFile::read_directly(IoBuffer& buffer, std::uint64_t offset) {
  if (!buffer.is_user()) return fid_->read(buffer, offset);
  const std::size_t room = Session::kMaxTransfers * fid_->client().transfer_size();
  return move_in_parts(buffer, room, [&](std::byte* bytes, std::size_t part, std::size_t done) -> Result<std::size_t> {
    IoBuffer taken = IoBuffer::kernel(bytes, part);
    QUIRE_TRY(const std::size_t n, fid_->read(taken, offset + done));
    QUIRE_CHECK(buffer.copy_out(bytes, n));
    return n;
  });
}

Result<std::size_t> OpenFile::write_directly(IoBuffer& buffer, std::uint64_t offset) {
  if (!buffer.is_user()) return fid_->write(buffer, offset);
  const std::size_t room = fid_->client().transfer_size();
  return move_in_parts(buffer, room, [&](std::byte* bytes, std::size_t part, std::size_t done) -> Result<std::size_t> {
    QUIRE_CHECK(buffer.copy_in(bytes, part));
    IoBuffer taken = IoBuffer::kernel(bytes, part);
    return fid_->write(taken, offset + done);
  });
}

Result<std::size_t> OpenFile::read(IoBuffer& buffer, std::uint64_t offset) {
  const RefPtr<SharedContents> pages = contents();
  if (!pages) return read_directly(buffer, offset);
  QUIRE_CHECK(pages->revalidate(file()));
  return pages->read(buffer, offset);
}

/// Pre: the file's mutex is held.
Result<std::size_t> OpenFile::write_at(IoBuffer& buffer, std::uint64_t offset) {
  const RefPtr<SharedContents> pages = contents();
  if (pages) QUIRE_CHECK(pages->revalidate(file()));
  QUIRE_TRY(const std::size_t done, pages ? pages->write(*fid_, buffer, offset) : write_directly(buffer, offset));
  if (done > 0) file().note_end(offset + done);
  return done;
}

Result<std::size_t> OpenFile::write(IoBuffer& buffer, std::uint64_t offset) {
  const Guard guard(file().mutex);
  if ((flags.load() & O_APPEND) != 0) {
    QUIRE_TRY(const Attributes now, file().attributes());
    offset = now.size;
  }
  return write_at(buffer, offset);
}

Result<void> OpenFile::truncate(std::uint64_t size) {
  AttributeChange change;
  change.size = size;
  const auto call = [this, &change] { return fid_->client().setattr(fid_->get(), change); };
  const RefPtr<SharedContents> pages = contents();
  return pages ? pages->resize(file(), size, call) : call();
}

Result<void> OpenFile::allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) {
  if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) return fail(Errno::kOpNotSupp);
  const Guard guard(file().mutex);
  QUIRE_TRY(const Attributes now, file().attributes());
  constexpr std::uint64_t kMostAtOnce = 64U << 10;
  const std::uint64_t end = std::min(now.size, offset + length);
  const auto zeros = std::make_unique<std::byte[]>(kMostAtOnce);
  while (offset < end) {
    IoBuffer buffer = IoBuffer::kernel(zeros.get(), std::min(kMostAtOnce, end - offset));
    QUIRE_TRY(const std::size_t written, write_at(buffer, offset));
    offset += written;
  }
  return {};
}

Result<void> OpenFile::told_of_errors(const Result<void>& otherwise) {
  const RefPtr<SharedContents> pages = contents();
  if (!pages) return otherwise;
  const Guard guard(file().mutex);
  QUIRE_CHECK(pages->errors().tell(errors_seen_));
  return otherwise;
}

Result<void> OpenFile::store(PageIndex first, PageCount count) {
  if (const RefPtr<SharedContents> pages = contents()) static_cast<void>(pages->store(first, PageIndex(first.raw() + count.raw() - 1)));
  return told_of_errors(fid_->client().fsync(fid_->get()));
}

Result<void> OpenFile::sync() {
  if (const RefPtr<SharedContents> pages = contents()) static_cast<void>(pages->store_all());
  return told_of_errors(fid_->client().fsync(fid_->get()));
}

Result<void> OpenFile::flush() {
  const RefPtr<SharedContents> pages = contents();
  if (!pages || !writable()) return {};
  static_cast<void>(pages->store_all());
  return told_of_errors({});
}

Result<void> OpenDirectory::sync() {
  if (directory_->fs().is_stable()) return {};
  QUIRE_TRY(const FidHandle opened, directory_->open_fid(O_RDONLY | O_DIRECTORY));
  return directory_->client().fsync(opened.get());
}

Result<void> OpenDirectory::read_directory(std::uint64_t& offset, DirectorySink sink,
                                           void* context) {
  Guard guard(lock_);
  if (offset == 0 || !listing_) {
    QUIRE_TRY(listing_, directory_->listing());
    cursor_ = {};
  }
  listing_->read(cursor_, offset, sink, context);
  return {};
}

}  // namespace quire::kernel::nine_p
