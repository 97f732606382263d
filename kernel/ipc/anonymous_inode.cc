#include "ipc/anonymous_inode.h"

#include <atomic>
#include <charconv>

#include "time/clock.h"

namespace quire::kernel {

namespace {

/// Device number of the file system that has no mount; free on Linux, where such numbers are handed
/// out from 1 on.
constexpr std::uint64_t kAnonymousDevice = 13;

std::uint64_t next_inode_number() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

AnonymousInode::AnonymousInode(std::uint32_t mode, std::uint32_t uid, std::uint32_t gid) {
  const auto now = static_cast<std::int64_t>(realtime_ns());
  attributes_.device = kAnonymousDevice;
  attributes_.inode = next_inode_number();
  attributes_.mode = mode;
  attributes_.uid = uid;
  attributes_.gid = gid;
  attributes_.times = {now, now, now};
}

Result<RefPtr<File>> AnonymousInode::open(std::uint32_t) { return fail(Errno::kNxIo); }

std::string AnonymousInode::link_name(std::string_view kind) const {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, attributes_.inode).ptr;
  return std::string(kind).append(":[").append(digits, end).append("]");
}

}  // namespace quire::kernel
