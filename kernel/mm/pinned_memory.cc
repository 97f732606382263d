#include "mm/pinned_memory.h"

#include <algorithm>

#include "sched/thread.h"

namespace quire::kernel {

Result<void> PinnedMemory::pin(IoBuffer buffer, Access access) {
  while (count_ < kMostPages && buffer.size() > 0) {
    const IoPiece next = buffer.front();
    const std::size_t in_page = next.address % kPageSize, part = std::min(next.size, kPageSize - in_page);
    Result<PageHold> page = current_thread().space->hold(VirtAddr(next.address), access, HoldKind::kPin);
    if (!page && count_ == 0) return fail(page.error());
    if (!page) break;
    pieces_[count_] = {.address = reinterpret_cast<std::uint64_t>(page->contents()) + in_page, .size = part};
    pages_[count_++] = std::move(*page);
    size_ += part;
    buffer.skip(part);
  }
  return {};
}

void PinnedMemory::mark_dirty() {
  for (PageHold& page : std::span(pages_).first(count_)) page.mark_dirty();
}

}  // namespace quire::kernel
