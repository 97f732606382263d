// Taking mappings' entries away: whole tables are detached, tables at the edges of the range are unshared first (S0.27, S0.50).
//
// Used by munmap, MAP_FIXED, brk, MADV_DONTNEED and by fork for spans a child must not get. What edges may cost is reserved before the
// first entry changes, so the work itself cannot fail (S0.54, I12); exit does not come here (S0.55).
#pragma once

#include "quire/base/types.h"
#include "quire/frame/frame_pool.h"
#include "quire/stats/counters.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

class AddressSpace;

class Zap {
 public:
  /// Will clear `range`. Tables whose span lies inside `free_range` (⊇ range: up to the neighbouring mappings) go as a whole.
  /// Locks: the space's, exclusive, for the life of the object.
  Zap(AddressSpace& space, VirtRange range, VirtRange free_range, Counter reason);
  /// Reserves what the two edges may need. Errors: ENOMEM.
  Result<void> reserve();
  /// Clears. Flushed and released when the gather finishes.
  void run(Gather& gather);

 private:
  struct Need {
    std::uint32_t frames = 0, attachments = 0;
  };
  Need count_edge(VirtAddr address) const;
  void zap_table(ExclusiveTable table, VirtRange range, Gather& gather);
  void zap_leaves(ExclusiveTable& table, VirtRange range, Gather& gather);
  void flush_vanished(VirtRange mapped, Gather& gather);
  void zap_large(ExclusiveTable& table, Slot slot, VirtRange span, Gather& gather);
  void detach(ExclusiveTable& table, Slot slot, Frame& child, VirtRange span, Gather& gather);

  AddressSpace& space_;
  MemoryManager& memory_;
  VirtRange range_, free_range_;
  Counter reason_;
  FrameReservation frames_;
  AttachmentReservation attachments_;
};

}  // namespace quire
