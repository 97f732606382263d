#include "quire/zero/zero.h"

#include "quire/memory_manager.h"
#include "quire/table/writer.h"

namespace quire {

Result<void> ZeroObjects::init(MemoryManager& memory) {
  const std::uint64_t count = memory.geometry().levels();  // the frame and a table for each level below the root
  Frame* first = memory.pool().take_contiguous_or_null(PageCount(count));
  if (first == nullptr) return fail(Errno::kNoMem);
  base_ = memory.pfn_of(*first);
  for (std::uint64_t n = 0; n < count; ++n) {
    first[n].kind = FrameKind::kZero;
    first[n].level = Level(static_cast<std::uint8_t>(n));
    __builtin_memset(memory.window(base_ + PageCount(n)), 0, kPageSize);
  }
  count_ = count;
  for (std::uint8_t level = 1; level < count; ++level) {
    const Entry entry = level == 1 ? Entry::leaf(base_, LeafClass::kNone, kProtReadExec, Writable::kNo)
                                   : Entry::zero_table(base_ + PageCount(level - 1U), kProtReadExec);
    fill_zero_table(memory, table(Level(level)), entry);
  }
  return {};
}

}  // namespace quire
