#include "quire/space/census.h"

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/writer.h"

namespace quire {

std::uint32_t Census::reach(const Frame& table) const {
  // A table that no pass met is newer than the census: its maker alone has it.
  if (scope_ == Scope::kNone || mark_of(table) < first_mark_) return 1;
  return static_cast<std::uint32_t>(table.table.census & kMostReach);
}

void Census::take(Scope scope, std::uint64_t family) TA_ATTRIBUTE(no_thread_safety_analysis) {
  scope_ = scope;
  shared_ = 0;
  first_mark_ = memory_.census_mark_ + 1;
  const std::uint64_t wanted = scope == Scope::kFamily ? family : 0;
  for (Level target = memory_.geometry().root_level().below(); target >= kLeafLevel;
       target = target.below())
    pass(target, wanted, Sought{});
}

void Census::add_mappings(Pfn first, std::span<std::uint32_t> counts) {
  pass(Level(0), 0, Sought{first, counts});
}

void Census::pass(Level target, std::uint64_t family, const Sought& sought)
    TA_ATTRIBUTE(no_thread_safety_analysis) {
  mark_ = ++memory_.census_mark_;
  AddressSpace* space = nullptr;
  for (;;) {
    AddressSpace* next = memory_.hold_next_space(space, family);
    if (space != nullptr) space->release();
    if (next == nullptr) return;
    space = next;
    SharedGuard guard(space->lock_);
    descend(space->root_frame(), space->is_hidden() ? 0 : 1, target, sought);
  }
}

// The table's lock keeps all that its entries name.
void Census::descend(Frame& table, std::uint32_t reach, Level target, const Sought& sought) {
  const bool is_root = table.level == memory_.geometry().root_level();
  const unsigned slots =
      is_root ? memory_.geometry().user_root_slots() : memory_.geometry().slots();
  const TableView view(memory_, table);
  SpinGuard guard(view.lock(), LockRank::kTable, view.lock_key());
  unsigned left = table.table.live;
  for (unsigned n = 0; n < slots && left != 0; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) continue;
    --left;
    if (memory_.kind_of(entry, view.level()) == EntryKind::kTable)
      visit(memory_.frame(entry.pfn()), reach, target, sought);
  }
}

void Census::visit(Frame& child, std::uint32_t parent_reach, Level target, const Sought& sought) {
  if (child.level == target) {
    const std::uint64_t so_far = mark_of(child) == mark_ ? child.table.census & kMostReach : 0;
    set(child, mark_, so_far + parent_reach);
    if (so_far <= 1 && so_far + parent_reach > 1) ++shared_;
    return;
  }
  if (mark_of(child) == mark_) return;
  const std::uint32_t own = reach(child);
  set(child, mark_, own);
  if (child.level == kLeafLevel) {
    add_leaves(child, own, sought);
  } else {
    descend(child, own, target, sought);
  }
}

void Census::add_leaves(Frame& table, std::uint32_t reach, const Sought& sought) {
  const TableView view(memory_, table);
  SpinGuard guard(view.lock(), LockRank::kTable, view.lock_key());
  unsigned left = table.table.live;
  for (unsigned n = 0; n < memory_.geometry().slots() && left != 0; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) continue;
    --left;
    if (memory_.kind_of(entry, kLeafLevel) != EntryKind::kFrame) continue;
    const std::uint64_t at = entry.pfn().raw() - sought.first.raw();
    if (at < sought.counts.size()) sought.counts[at] += reach;
  }
}

}  // namespace quire
