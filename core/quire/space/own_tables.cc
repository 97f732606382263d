#include "quire/space/own_tables.h"

#include "quire/table/lent.h"

namespace quire {

OwnTables::OwnTables(AddressSpace& space, Counter reason)
    : space_(space), memory_(space.memory()), reason_(reason), frames_(memory_.pool()), attachments_(memory_) {}

// All tables in the range that are shared, or below a shared one, and those that are to be made.
void OwnTables::count_below(const TableView& table, VirtRange range, bool shared_above, Expand expand) {
  if (table.level() == kLeafLevel) return;
  if (table.frame().is_lent()) {
    const std::uint32_t below = copies_below_lent(table.frame(), memory_.geometry().entries_in(range, table.level()));
    need_frames_ += below;
    need_attachments_ += below;
    return;
  }
  for_each_slot(memory_.geometry(), table, range, [&](Slot slot, VirtRange, VirtRange part) {
    const Entry entry = table.entry(slot);
    const EntryKind kind = memory_.kind_of(entry, table.level());
    if (expands(kind, expand)) {
      for (Level level = table.level(); level != kLeafLevel; level = level.below()) {
        const std::uint64_t span_of_one = memory_.geometry().span(level).raw();
        need_frames_ += static_cast<std::uint32_t>(part.last().raw() / span_of_one - part.begin().raw() / span_of_one + 1);
      }
    }
    if (kind != EntryKind::kTable) return;
    Frame& child = memory_.frame(entry.pfn());
    const bool shared = shared_above || child.table.share.load() > 1;
    if (shared) {
      ++need_frames_;
      need_attachments_ += attachments_of_copy(child);
    }
    count_below(TableView(memory_, child), part, shared, expand);
  });
}

Result<void> OwnTables::reserve() {
  QUIRE_CHECK(frames_.ensure(need_frames_, FrameUse::kUser));
  return attachments_.ensure(need_attachments_);
}

void OwnTables::make_child(ExclusiveTable& table, Slot slot) {
  NewTable fresh(memory_, *frames_.take(), table.level().below());
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  table.install(slot, Entry::table(memory_.pfn_of(fresh.frame()), Writable::kYes));
  space_.tables_.fetch_add(1);
}

ExclusiveTable OwnTables::own_child(ExclusiveTable& table, Slot slot, VirtRange span, Gather& gather) {
  if (gather.is_full()) gather.finish();
  auto mine = ExclusivePath::unshare(space_, table, slot, span, frames_, attachments_, gather, reason_);
  QUIRE_ASSERT(mine.state == ExclusivePath::Unshared::State::kExclusive, "I12: too few tables were reserved");
  return *mine.child;
}

}  // namespace quire
