// Accessed flags, taken off for somebody who wants to see what a program touches (Linux v6.12
// fs/proc/task_mmu.c:clear_refs_write()).
//
// In place, in shared tables too: a flag off means "not touched since", which whoever reads it
// later takes as advice (P1, young test-and-clear). Zero tables keep theirs (I13).

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/tlb/gather.h"

namespace quire {

namespace {

/// One pass over a tree. Locks: the space's, exclusive, so that no table goes; takes that of each
/// leaf table.
class Forget {
 public:
  Forget(const MemoryManager& memory, AddressSpace::Pages pages) : memory_(memory), pages_(pages) {}

  void run(Frame& table) const {
    const TableView view(memory_, table);
    if (view.level() == kLeafLevel) {
      forget(view);
      return;
    }
    const bool is_root = view.level() == memory_.geometry().root_level();
    const unsigned slots =
        is_root ? memory_.geometry().user_root_slots() : memory_.geometry().slots();
    for (unsigned n = 0; n < slots; ++n) {
      const Entry entry = view.entry(static_cast<Slot>(n));
      if (memory_.kind_of(entry, view.level()) == EntryKind::kTable)
        run(memory_.frame(entry.pfn()));
    }
  }

 private:
  void forget(const TableView& view) const {
    const SpinGuard guard(view.lock(), LockRank::kTable, view.lock_key());
    for (unsigned n = 0; n < memory_.geometry().slots(); ++n) {
      const auto slot = static_cast<Slot>(n);
      const Entry entry = view.entry(slot);
      if (memory_.kind_of(entry, kLeafLevel) != EntryKind::kFrame || !entry.accessed()) continue;
      if (wants(entry)) clear_in_place(view, slot, Entry::accessed_mask());
    }
  }
  [[nodiscard]] bool wants(Entry entry) const {
    switch (pages_) {
      case AddressSpace::Pages::kAll:
        return true;
      case AddressSpace::Pages::kPrivate:
        return entry.is_private_leaf();
      case AddressSpace::Pages::kOfObjects:
        return !entry.is_private_leaf();
    }
    return false;
  }
  const MemoryManager& memory_;
  AddressSpace::Pages pages_;
};

}  // namespace

void AddressSpace::forget_references(Pages pages) {
  const ExclusiveGuard guard(lock_);
  Gather gather(*this);
  Forget(memory_, pages).run(root_frame());
  // Processors set the flag when they load a translation: without the flush they would not come by
  // again.
  gather.flush_range(VirtRange(VirtAddr(0), memory_.geometry().user_top()),
                     FlushRequest::Depth::kLeavesOnly);
}

}  // namespace quire
