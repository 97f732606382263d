#include "quire/space/census.h"

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/writer.h"

namespace quire {

std::uint32_t Census::reach(const Frame& table) const {
  // A table that no pass met is newer than the census: its maker alone has it.
  if (scope_ == Scope::kNone || table.table.census_mark < first_mark_) return 1;
  return reach_of(table);
}

void Census::set(Frame& table, std::uint32_t mark, std::uint64_t reach) {
  if (reach > kMostReach) reach = kMostReach;
  table.table.census_mark = mark;
  table.table.census_reach = static_cast<std::uint16_t>(reach);
  table.table.census_reach_high = static_cast<std::uint8_t>(reach >> 16);
}

void Census::take(Scope scope, std::uint64_t family) TA_ATTRIBUTE(no_thread_safety_analysis) {
  scope_ = scope;
  if (memory_.census_mark_ >= kLastMark) {
    // Before marks begin anew, every table gets one of the first, so that none looks newer than it
    // is.
    memory_.census_mark_ = 0;
    passes(0);
  }
  first_mark_ = memory_.census_mark_ + 1;
  shared_ = 0;
  passes(scope == Scope::kFamily ? family : 0);
}

void Census::passes(std::uint64_t family) {
  for (Level target = memory_.geometry().root_level().below(); target >= kLeafLevel;
       target = target.below())
    pass(target, family, Sought{});
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
    descend(space->root_frame(), 1, target, sought);
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
    const EntryKind kind = memory_.kind_of(entry, view.level());
    if (kind == EntryKind::kTable) visit(memory_.frame(entry.pfn()), reach, target, sought);
    if (kind == EntryKind::kFrame && target == Level(0)) {
      const std::uint64_t size = memory_.geometry().span(view.level()).raw() >> kPageShift;
      for (std::uint64_t part = 0; part < size; ++part)
        add(entry.pfn() + PageCount(part), reach, sought);
    }
  }
}

void Census::visit(Frame& child, std::uint32_t parent_reach, Level target, const Sought& sought) {
  if (child.level == target) {
    const std::uint64_t so_far = child.table.census_mark == mark_ ? reach_of(child) : 0;
    set(child, mark_, so_far + parent_reach);
    if (so_far <= 1 && so_far + parent_reach > 1) ++shared_;
    return;
  }
  if (child.table.census_mark == mark_) return;
  const std::uint32_t own = reach(child);
  set(child, mark_, own);
  if (child.level == kLeafLevel) {
    add_leaves(child, own, sought);
  } else {
    descend(child, own, target, sought);
  }
}

void Census::add(Pfn frame, std::uint32_t reach, const Sought& sought) {
  const std::uint64_t at = frame.raw() - sought.first.raw();
  if (at < sought.counts.size()) sought.counts[at] += reach;
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
    add(entry.pfn(), reach, sought);
  }
}

}  // namespace quire
