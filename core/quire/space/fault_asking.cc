// Faults in mappings that are registered with a handler, and the pages it gives (userfaultfd; docs/decisions/0013-userfault.md).
//
// A fault that the handler is to be asked about ends with the space's lock dropped, and begins anew when there is an answer. What the
// handler supplies comes about as a write fault does, with its own contents, and only where there is nothing.

#include "quire/space/fault_resolver.h"

namespace quire {

// The page that comes in a marker's place is guarded: whoever writes comes here once more, and asks (Linux v6.12
// mm/memory.c:pte_marker_handle_uffd_wp()).
FaultResolver::Attempt FaultResolver::fill_marked(ExclusiveTable& table, Slot slot, Entry seen) {
  if (asks_when_absent()) return ask(AskedFault::Reason::kMissing);
  if (vma_.object != nullptr) return map_object_page(table, slot, seen);
  return may_map_zero() ? map_zero(table, slot, seen) : map_private_page(table, slot, seen);
}

FaultResolver::Attempt FaultResolver::write_guarded(ExclusiveTable& table, Slot slot, Entry seen) {
  if (vma_.asks(VmaFlag::kAsksGuarded)) return ask(AskedFault::Reason::kGuarded);
  // Nobody is left to ask.
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (table.entry(slot) == seen) static_cast<void>(table.change_rights(slot, seen, seen.without_guard()));
  return Attempt::kNeedsSupplies;
}

// Null: there is none, and the handler is to be asked, or has been too slow.
Result<ObjectPage> FaultResolver::object_page() {
  const PageIndex index = vma_.index_of(page_);
  if (supplying_ || vma_.asks(VmaFlag::kAsksMissing)) {
    QUIRE_TRY(Frame * page, vma_.object->find_page(index));
    return ObjectPage{page, false};
  }
  return vma_.object->get_page(index, vma_.is_shared() ? access_ : Access::kRead);
}

FaultResolver::Attempt FaultResolver::supply_leaf(ExclusiveTable& table, Entry seen) {
  const Slot slot = geometry().leaf_slot_of(page_);
  const EntryKind kind = memory_.kind_of(seen, kLeafLevel);
  if (kind != EntryKind::kAbsent && kind != EntryKind::kMarker) return Attempt::kOccupied;
  if (vma_.object != nullptr) return map_object_page(table, slot, seen);
  return data_ == nullptr && memory_.config().zero_page ? map_zero(table, slot, seen) : map_private_page(table, slot, seen);
}

Result<void> FaultResolver::supply(Frame* contents, Guarded guarded) {
  data_ = contents;
  is_clear_ = contents != nullptr;
  supplying_ = true;
  guards_ = guarded == Guarded::kYes;
  switch (run_supplied()) {
    case FaultOutcome::kMinor:
    case FaultOutcome::kMajor:
      if (is_occupied_) return fail(Errno::kExist);
      return {};
    case FaultOutcome::kOutOfMemory: return fail(Errno::kNoMem);
    case FaultOutcome::kMapError:
    case FaultOutcome::kAccessError:
    case FaultOutcome::kBusError:
    case FaultOutcome::kInterrupted: return fail(Errno::kFault);
  }
  return fail(Errno::kFault);
}

}  // namespace quire
