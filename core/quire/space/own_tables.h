// Making all tables of a range a space's own: those it shares are copied (P1).
//
// Used by whoever changes entries all over a range (mprotect) or wants nothing shared there (a mapping that copies at fork). What it may
// need is reserved before the first entry changes, so the work itself cannot fail (I12).
#pragma once

#include "quire/base/assert.h"
#include "quire/frame/frame_pool.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

class OwnTables {
 public:
  /// Where there is no leaf table: what of that becomes one, of the space's own.
  enum class Expand : std::uint8_t { kNothing, kZeroTables, kAll };
  /// Locks: the space's, exclusive, for the life of the object. `reason`: what copies are counted as.
  OwnTables(AddressSpace& space, Counter reason);
  /// Adds what `range` needs. Ranges are counted once each, in any order.
  void count(VirtRange range, Expand expand = Expand::kNothing) {
    count_below(TableView(memory_, memory_.frame(space_.tlb().root)), range, false, expand);
  }
  /// Errors: ENOMEM.
  Result<void> reserve();
  /// Calls on_leaves(table, part) for each leaf table, and for each large leaf of one above, and on_zero(table, slot, span) for each zero
  /// table in `range`; on_zero may clear it.
  template <typename OnLeaves, typename OnZero>
  void run(VirtRange range, Gather& gather, OnLeaves on_leaves, OnZero on_zero) {
    run_below(ExclusivePath::root(space_), range, Expand::kNothing, gather, on_leaves, on_zero);
  }
  /// The same, with what is expanded among the leaf tables.
  template <typename OnLeaves>
  void run_expanded(VirtRange range, Expand expand, Gather& gather, OnLeaves on_leaves) {
    run_below(ExclusivePath::root(space_), range, expand, gather, on_leaves, [](ExclusiveTable&, Slot, VirtRange) {});
  }
  /// Calls visit(slot, span, part) for each slot of `table` that `range` touches.
  template <typename Visit>
  static void for_each_slot(const Geometry& geometry, const TableView& table, VirtRange range, Visit visit) {
    for (VirtAddr at = range.begin(); at < range.end();) {
      const VirtRange span = geometry.entry_range(at, table.level());
      visit(geometry.slot_of(at, table.level()), span, range.intersection(span));
      at = span.end();
    }
  }

 private:
  void count_below(const TableView& table, VirtRange range, bool shared_above, Expand expand);
  static bool expands(EntryKind kind, Expand expand) {
    return (kind == EntryKind::kZeroTable && expand != Expand::kNothing) || (kind == EntryKind::kAbsent && expand == Expand::kAll);
  }

  template <typename OnLeaves, typename OnZero>
  void run_below(ExclusiveTable table, VirtRange range, Expand expand, Gather& gather, OnLeaves& on_leaves, OnZero&& on_zero) {
    if (table.level() == kLeafLevel) return on_leaves(table, range);
    for_each_slot(memory_.geometry(), table, range, [&](Slot slot, VirtRange span, VirtRange part) {
      const EntryKind kind = memory_.kind_of(table.entry(slot), table.level());
      if (kind == EntryKind::kAbsent && expand == Expand::kAll) make_child(table, slot);
      if (kind == EntryKind::kFrame) {
        on_leaves(table, part);
      } else if (kind == EntryKind::kTable || expands(kind, expand)) {
        run_below(own_child(table, slot, span, gather), part, expand, gather, on_leaves, on_zero);
      } else if (kind == EntryKind::kZeroTable) {
        on_zero(table, slot, span);
      }
    });
  }
  void make_child(ExclusiveTable& table, Slot slot);
  [[nodiscard]] ExclusiveTable own_child(ExclusiveTable& table, Slot slot, VirtRange span, Gather& gather);

  AddressSpace& space_;
  MemoryManager& memory_;
  Counter reason_;
  std::uint32_t need_frames_ = 0, need_attachments_ = 0;
  FrameReservation frames_;
  AttachmentReservation attachments_;
};

}  // namespace quire
