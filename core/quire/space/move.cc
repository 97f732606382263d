#include "quire/space/move.h"

#include <optional>

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/lent.h"
#include "quire/table/two_tables.h"

namespace quire {

Move::Move(AddressSpace& space, VirtRange from, VirtAddr to, VirtRange free_from, VirtRange free_to)
    : space_(space),
      memory_(space.memory_),
      geometry_(memory_.geometry()),
      from_(from),
      distance_(to.raw() - from.begin().raw()),
      free_from_(free_from),
      free_to_(free_to),
      frames_(memory_.pool()),
      attachments_(memory_) {}

bool Move::moves_whole(VirtRange span, Level level) const {
  if (distance_ % geometry_.span(level).raw() != 0 || !free_from_.contains(span)) return false;
  // The span may reach beyond what is moved, and then beyond user space.
  const VirtRange target(target_of(span.begin()), span.size());
  return free_to_.contains(target);
}

Result<void> Move::reserve() {
  if (from_.empty()) return {};
  count(TableView(memory_, space_.root_frame()), from_, false);
  QUIRE_CHECK(frames_.ensure(need_frames_, FrameUse::kUser));
  return attachments_.ensure(need_attachments_);
}

// Tables that must be copied because somebody shares them, and tables that the target lacks.
void Move::count(const TableView& table, VirtRange range, bool shared_above) {
  for (VirtAddr at = range.begin(); at < range.end();) {
    const VirtRange span = geometry_.entry_range(at, table.level());
    const VirtRange part = range.intersection(span);
    at = span.end();
    const Entry entry = table.entry(geometry_.slot_of(span.begin(), table.level()));
    const EntryKind kind = memory_.kind_of(entry, table.level());
    const std::uint32_t lent_below = copies_below_lent(table.frame(), 1);
    if (kind != EntryKind::kTable && kind != EntryKind::kZeroTable && !entry.is_large() && lent_below == 0) continue;
    if (entry.is_large()) {
      ++need_attachments_;
      count_target(VirtRange(target_of(part.begin()), part.size()), table.level());
    } else if (moves_whole(span, table.level())) {
      need_attachments_ += lent_below;  // a large leaf may come to be there
      count_target(VirtRange(target_of(part.begin()), part.size()), table.level());
      // If there is a table already, the leaves move one by one; but then a table is not needed either.
    } else if (lent_below != 0) {
      need_frames_ += lent_below;
      need_attachments_ += lent_below * 3;
      count_target(VirtRange(target_of(part.begin()), part.size()), kLeafLevel);
    } else if (kind == EntryKind::kTable) {
      Frame& child = memory_.frame(entry.pfn());
      const bool shared = shared_above || child.table.share.load() > 1;
      if (shared) ++need_frames_;
      if (child.level == kLeafLevel) {
        // One for each object in each of the two tables the target may lie in, and those of a copy.
        need_attachments_ += child.table.attachment_count * (shared ? 3U : 2U);
        count_target(VirtRange(target_of(part.begin()), part.size()), kLeafLevel);
      } else {
        if (shared) need_attachments_ += attachments_of_copy(child);
        count(TableView(memory_, child), part, shared);
      }
    }
  }
}

void Move::count_target(VirtRange range, Level level) {
  for (Level above = geometry_.root_level(); above != level;) {
    above = above.below();
    VirtAddr& counted_to = counted_to_[above.raw()];
    for (VirtAddr at = range.begin() < counted_to ? counted_to : range.begin(); at < range.end(); at = counted_to) {
      counted_to = geometry_.table_range(at, above).end();
      ++need_frames_;
      need_attachments_ += attachments_at(at, above);
    }
  }
}

// Those of the table of `level` at `address`, if there is one: what its copy would need.
std::uint32_t Move::attachments_at(VirtAddr address, Level level) const {
  TableView table(memory_, space_.root_frame());
  while (table.level() != level) {
    const Entry entry = table.entry(geometry_.slot_of(address, table.level()));
    if (memory_.kind_of(entry, table.level()) != EntryKind::kTable) return 0;
    table = TableView(memory_, memory_.frame(entry.pfn()));
  }
  return attachments_of_copy(table.frame());
}

void Move::run(Gather& gather) {
  if (from_.empty()) return;
  memory_.trace().add(TraceEvent::kRemap, [&] {
    return TraceRecord{.space = space_.id(), .address = from_.begin(), .value = target_of(from_.begin()).raw()};
  });
  move_below(ExclusivePath::root(space_), from_, gather);
}

void Move::move_below(ExclusiveTable table, VirtRange range, Gather& gather) {
  if (table.level() == kLeafLevel) return move_leaves(table, range, gather);
  for (VirtAddr at = range.begin(); at < range.end() && table.frame().table.live != 0;) {
    const VirtRange span = geometry_.entry_range(at, table.level());
    const VirtRange part = range.intersection(span);
    at = span.end();
    const Entry entry = table.entry(geometry_.slot_of(span.begin(), table.level()));
    const EntryKind kind = memory_.kind_of(entry, table.level());
    if (entry.is_large()) move_large(table, span, gather);
    if (kind != EntryKind::kTable && kind != EntryKind::kZeroTable) continue;
    if (moves_whole(span, table.level())) {
      move_entry(table, span, gather);
    } else if (kind == EntryKind::kTable) {
      move_below(own_child(table, span.begin(), gather), part, gather);
    }
  }
}

// The entry keeps its W: the path to it is exclusive here and there, and whom it names does not change (I3).
void Move::move_entry(ExclusiveTable& table, VirtRange span, Gather& gather) {
  const VirtAddr there = target_of(span.begin());
  ExclusiveTable target = target_table(there, table.level(), gather);
  const Slot slot = geometry_.slot_of(there, table.level());
  QUIRE_ASSERT(target.entry(slot).is_absent(), "I6: a table without a mapping");
  Entry entry;
  {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    entry = table.clear(geometry_.slot_of(span.begin(), table.level()));
  }
  {
    SpinGuard guard(target.lock(), LockRank::kTable, target.lock_key());
    target.install(slot, entry);
  }
  if (memory_.kind_of(entry, table.level()) == EntryKind::kTable && memory_.frame(entry.pfn()).has_flag(Frame::kHoldsBelow)) {
    ExclusivePath::note_holds(space_, there, table.level());  // pages that are held are found from there (R19)
  }
  gather.flush_range(span, FlushRequest::Depth::kTablesToo);
  memory_.counters().add(Counter::kMoveTable);
  memory_.trace().add(TraceEvent::kMove, [&] {
    return TraceRecord{.space = space_.id(), .address = span.begin(), .value = there.raw(), .table = entry.pfn(),
                       .level = table.level().below()};
  });
}

void Move::move_leaves(ExclusiveTable& from, VirtRange range, Gather& gather) {
  for (VirtAddr at = range.begin(); at < range.end() && from.frame().table.live != 0;) {
    const VirtRange target = geometry_.table_range(target_of(at), kLeafLevel);
    const ByteCount left = target.end() - target_of(at);
    const VirtAddr end = left < range.end() - at ? at + left : range.end();
    std::optional<ExclusiveTable> to;
    for (; at < end; at = at + ByteCount(kPageSize)) {
      if (from.entry(geometry_.slot_of(at, kLeafLevel)).is_absent()) continue;
      if (!to) {
        to = target_table(target.begin(), kLeafLevel, gather);
        if (from.frame().has_flag(Frame::kHoldsBelow)) ExclusivePath::note_holds(space_, target.begin(), kLeafLevel);
      }
      move_leaf(from, *to, at);
      gather.flush_range(VirtRange(at, ByteCount(kPageSize)), FlushRequest::Depth::kLeavesOnly);
    }
  }
}

void Move::move_large(ExclusiveTable& from, VirtRange span, Gather& gather) {
  ExclusiveTable to = target_table(target_of(span.begin()), from.level(), gather);
  if (from.frame().has_flag(Frame::kHoldsBelow)) ExclusivePath::note_holds(space_, target_of(span.begin()), from.level());
  move_leaf(from, to, span.begin());
  gather.flush_range(span, FlushRequest::Depth::kLeavesOnly);
}

void Move::move_leaf(ExclusiveTable& from, ExclusiveTable& to, VirtAddr address) {
  const Slot source = geometry_.slot_of(address, from.level()), target = geometry_.slot_of(target_of(address), to.level());
  const TwoTables both(from, to);
  const Entry entry = from.clear(source);  // with what hardware has set up to now (I14)
  const EntryKind kind = memory_.kind_of(entry, from.level());
  if (kind == EntryKind::kFrame || kind == EntryKind::kMigration) {
    Frame& frame = memory_.frame(entry.pfn());
    add_attached_page(to.frame(), frame.page, target, attachments_);
    frame.page.object->note_move();
    if (frame.page.source != nullptr) frame.page.source->note_move();
    drop_attached_page(memory_, from.frame(), frame, source);
  }
  to.install(target, entry);
}

ExclusiveTable Move::target_table(VirtAddr address, Level level, Gather& gather) {
  ExclusiveTable table = ExclusivePath::root(space_);
  while (table.level() != level) {
    const Slot slot = geometry_.slot_of(address, table.level());
    if (!table.entry(slot).is_absent()) {
      table = own_child(table, address, gather);
      continue;
    }
    NewTable fresh(memory_, *frames_.take(), table.level().below());
    const Entry entry = Entry::table(memory_.pfn_of(fresh.frame()), Writable::kYes);
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    table.install(slot, entry);
    space_.tables_.fetch_add(1);
    table = ExclusivePath::child(memory_, table, entry);
  }
  return table;
}

ExclusiveTable Move::own_child(ExclusiveTable& table, VirtAddr address, Gather& gather) {
  if (gather.is_full()) gather.finish();
  auto mine = ExclusivePath::unshare(space_, table, geometry_.slot_of(address, table.level()),
                                     geometry_.entry_range(address, table.level()), frames_, attachments_, gather, Counter::kUnshareMremap);
  QUIRE_ASSERT(mine.state == ExclusivePath::Unshared::State::kExclusive, "I12: mremap reserved too little");
  return *mine.child;
}

}  // namespace quire
