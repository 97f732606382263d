#include "fs/memory/special.h"

#include <sys/stat.h>

namespace quire::kernel {

MemorySymlink::MemorySymlink(RefPtr<MemoryFs> fs) : MemoryNode(std::move(fs), S_IFLNK) {}

void MemorySymlink::set_target(std::string_view target) {
  target_ = target;
  set_size(target.size());
}

FifoState* MemorySpecial::fifo() {
  const Result<std::uint32_t> kind = type();
  return kind && *kind == S_IFIFO ? &fifo_ : nullptr;
}

}  // namespace quire::kernel
