#include "quire/space/guards.h"

namespace quire {

void Guards::set(VirtRange range, Unpopulated unpopulated, Gather& gather) {
  tables_.run_expanded(range, expansion_for(unpopulated), gather, [&](ExclusiveTable& table, VirtRange part) {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    OwnTables::for_each_slot(memory_.geometry(), table, part,
                             [&](Slot slot, VirtRange page, VirtRange) { set_leaf(table, slot, page, unpopulated, gather); });
  });
}

void Guards::remove(VirtRange range, Gather& gather) {
  tables_.run_expanded(range, OwnTables::Expand::kNothing, gather, [&](ExclusiveTable& table, VirtRange part) {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    OwnTables::for_each_slot(memory_.geometry(), table, part, [&](Slot slot, VirtRange, VirtRange) { remove_leaf(table, slot); });
  });
}

// A page that is being moved comes back guarded.
void Guards::set_leaf(ExclusiveTable& table, Slot slot, VirtRange page, Unpopulated unpopulated, Gather& gather) {
  for (;;) {
    const Entry seen = table.entry(slot);
    if (seen.is_absent()) {
      if (unpopulated == Unpopulated::kMarked) table.install(slot, Entry::guard_marker());
      return;
    }
    const bool is_page = seen.names_frame() || memory_.kind_of(seen, kLeafLevel) == EntryKind::kMigration;
    if (!is_page || seen.is_guarded()) return;
    if (!table.replace_if(slot, seen, seen.with_guard())) continue;  // hardware set A or D: look again (I14)
    gather.flush_range(page, FlushRequest::Depth::kLeavesOnly);
    return;
  }
}

// Nothing to flush: rights come back by faults.
void Guards::remove_leaf(ExclusiveTable& table, Slot slot) {
  for (;;) {
    const Entry seen = table.entry(slot);
    if (!seen.is_guarded()) return;
    if (memory_.kind_of(seen, kLeafLevel) == EntryKind::kMarker) {
      table.clear(slot);
      return;
    }
    if (table.replace_if(slot, seen, seen.without_guard())) return;
  }
}

}  // namespace quire
