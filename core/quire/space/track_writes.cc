// Soft-dirty: which pages were written since somebody asked (Linux v6.12 fs/proc/task_mmu.c:clear_soft_dirty(),
// Documentation/admin-guide/mm/soft-dirty.rst).
//
// The bit stands in the leaf, set with W, which only whoever writes gets; taking both away makes the next write say so again. It is a
// space's own: tables that it shares are unshared first (P1). Mappings that are new, or were grown or moved, count as written whole, which
// the absence of a flag says (VmaFlag::kTracked), and so do huge pages always: Linux's walk passes over them.

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/own_tables.h"

namespace quire {

namespace {

/// Locks: the table's.
void forget_write(const MemoryManager& memory, ExclusiveTable& table, Slot slot, VirtRange page, Gather& gather) {
  for (;;) {
    const Entry seen = table.entry(slot);
    const EntryKind kind = memory.kind_of(seen, kLeafLevel);
    if ((kind != EntryKind::kFrame && kind != EntryKind::kMigration) || !seen.is_soft_dirty()) return;
    // Whoever has it pinned writes without the entry (Linux v6.12 fs/proc/task_mmu.c:pte_is_pinned()).
    if (kind == EntryKind::kFrame && memory.frame(seen.pfn()).pins() != 0) return;
    if (!table.replace_if(slot, seen, seen.without_soft_dirty())) continue;  // hardware set A or D: look again (I14)
    gather.flush_range(page, FlushRequest::Depth::kLeavesOnly);
    return;
  }
}

}  // namespace

Result<void> AddressSpace::track_writes() {
  ExclusiveGuard guard(lock_);
  const VirtRange all(VirtAddr(0), memory_.geometry().user_top());
  VmaMap changed = map_;
  OwnTables tables(*this, Counter::kUnshareMprotect);
  for (const Vma& vma : map_.overlapping(all)) {
    if (vma.is_huge()) continue;
    tables.count(vma.range);
    if (vma.flags.has(VmaFlag::kTracked)) continue;
    Vma tracked = vma;
    tracked.flags = vma.flags.with(VmaFlag::kTracked);
    QUIRE_CHECK(changed.replace(vma.range.begin(), tracked));
  }
  QUIRE_CHECK(tables.reserve());
  Gather gather(*this);
  for (const Vma& vma : map_.overlapping(all)) {
    if (vma.is_huge()) continue;
    tables.run(
        vma.range, gather,
        [&](ExclusiveTable& table, VirtRange part) {
          SpinGuard lock(table.lock(), LockRank::kTable, table.lock_key());
          OwnTables::for_each_slot(memory_.geometry(), table, part, [&](Slot slot, VirtRange page, VirtRange) {
            forget_write(memory_, table, slot, page, gather);
          });
        },
        [](ExclusiveTable&, Slot, VirtRange) {});
  }
  gather.finish();
  commit_map(std::move(changed), all);
  return {};
}

}  // namespace quire
