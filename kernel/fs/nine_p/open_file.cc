#include "fs/nine_p/open_file.h"

#include <linux/fcntl.h>

namespace quire::kernel::nine_p {

namespace {

Result<std::size_t> read_all(Client& client, Fid fid, IoBuffer& buffer, std::uint64_t offset) {
  std::size_t done = 0;
  while (buffer.size() > 0) {
    const Result<std::size_t> n = client.read(fid, offset + done, buffer.size(), buffer);
    if (!n) {
      if (done == 0) return fail(n.error());
      break;
    }
    if (*n == 0) break;
    done += *n;
  }
  return done;
}

}  // namespace

Result<std::size_t> StableFile::read(IoBuffer& buffer, std::uint64_t offset) {
  QUIRE_TRY(const Fid fid, file_->fid());
  return read_all(file_->client(), fid, buffer, offset);
}

Result<std::size_t> OpenFile::read(IoBuffer& buffer, std::uint64_t offset) {
  return read_all(file_->client(), fid_.get(), buffer, offset);
}

Result<std::size_t> OpenFile::write(IoBuffer& buffer, std::uint64_t offset) {
  Guard guard(file_->mutex);
  if ((flags.load() & O_APPEND) != 0) {
    QUIRE_TRY(const Attributes now, file_->attributes());
    offset = now.size;
  }
  std::size_t done = 0;
  while (buffer.size() > 0) {
    const Result<std::size_t> n =
        file_->client().write(fid_.get(), offset + done, buffer.size(), buffer);
    if (!n) {
      if (done == 0) return fail(n.error());
      break;
    }
    done += *n;
  }
  return done;
}

Result<void> OpenFile::truncate(std::uint64_t size) {
  AttributeChange change;
  change.size = size;
  return file_->client().setattr(fid_.get(), change);
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
