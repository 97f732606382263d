#include "quire/rmap/compact.h"

#include "quire/rmap/migrate.h"

namespace quire {

Compacted compact(MemoryManager& memory) {
  Compacted result;
  memory.counters().add(Counter::kCompact);
  memory.pool().sort_free();
  // Frames that become free are kept until the end, or they would be the next to be moved to.
  FrameReservation freed(memory.pool());
  FrameReservation target(memory.pool());
  for (std::uint64_t pfn = memory.pool().touched_end().raw(); pfn-- != 0;) {
    Frame& from = memory.frame(Pfn(pfn));
    if (!from.is_page() || from.is_large() || !from.try_get()) continue;
    if (target.held() == 0) {
      if (Frame* const lowest = memory.pool().take_lowest_or_null(); lowest != nullptr) target.add(*lowest);
    }
    const bool met = target.held() == 0 || pfn <= memory.pfn_of(target.first()).raw();
    if (!met) ++(migrate_page(memory, from, target) ? result.moved : result.busy);
    if (from.put()) freed.add(from);
    if (met) break;
  }
  return result;
}

}  // namespace quire
