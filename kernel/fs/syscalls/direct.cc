// O_DIRECT: between the file and the caller's memory, whose pages are pinned, without a copy on the way. What a file keeps in memory of
// itself is asked and kept up to date all the same: that is the file's own affair.
#include "fs/syscalls/common.h"
#include "mm/pinned_memory.h"

namespace quire::kernel {
namespace {

// Memory need not be aligned: none of the devices asks for that (Linux v6.12 fs/iomap/direct-io.c:iomap_dio_bio_iter()).
bool is_aligned(const File& file, const IoBuffer& buffer, std::uint64_t offset) {
  return (offset | buffer.size()) % file.direct_alignment() == 0;
}

template <typename Move>
Result<std::size_t> transfer(IoBuffer& buffer, Access access, Move move) {
  std::size_t done = 0;
  while (buffer.size() > 0) {
    PinnedMemory memory;
    if (const Result<void> pinned = memory.pin(buffer, access); !pinned) {
      if (done == 0) return fail(pinned.error());
      break;
    }
    IoBuffer bytes = memory.bytes();
    const Result<std::size_t> moved = move(bytes, done);
    if (access == Access::kWrite) memory.mark_dirty();
    if (!moved && done == 0) return fail(moved.error());
    if (!moved || *moved == 0) break;
    buffer.skip(*moved);
    done += *moved;
    if (*moved < memory.size()) break;
  }
  return done;
}

}  // namespace

Result<std::size_t> read_direct(File& file, IoBuffer& buffer, std::uint64_t offset) {
  if (!is_aligned(file, buffer, offset)) {
    QUIRE_TRY(const Attributes now, file.attributes());
    if (offset < now.size) return fail(Errno::kInval);
    return 0;
  }
  if (!buffer.is_user()) return file.read(buffer, offset);
  return transfer(buffer, Access::kWrite, [&](IoBuffer& bytes, std::size_t done) { return file.read(bytes, offset + done); });
}

Result<std::size_t> write_direct(File& file, IoBuffer& buffer, std::uint64_t offset) {
  if (!is_aligned(file, buffer, offset)) return fail(Errno::kInval);
  if (!buffer.is_user()) return file.write(buffer, offset);
  return transfer(buffer, Access::kRead, [&](IoBuffer& bytes, std::size_t done) { return file.write(bytes, offset + done); });
}

}  // namespace quire::kernel
