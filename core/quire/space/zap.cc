#include "quire/space/zap.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/lent.h"

namespace quire {

Zap::Zap(AddressSpace& space, VirtRange range, VirtRange free_range, Counter reason)
    : space_(space),
      memory_(space.memory_),
      range_(range),
      free_range_(free_range),
      reason_(reason),
      frames_(memory_.pool()),
      attachments_(memory_) {}

// Tables on the path to `address` that are only partly covered and shared: each would be copied. Below a copied table everything is shared.
Zap::Need Zap::count_edge(VirtAddr address) const {
  const Geometry& geometry = memory_.geometry();
  Need need;
  bool shared_above = false;
  TableView table(memory_, space_.root_frame());
  while (table.level() != kLeafLevel) {
    if (free_range_.contains(geometry.entry_range(address, table.level()))) break;
    const Entry entry = table.entry(geometry.slot_of(address, table.level()));
    if (memory_.kind_of(entry, table.level()) != EntryKind::kTable) {
      const std::uint32_t below = copies_below_lent(table.frame(), 1);
      need.frames += below;
      need.attachments += below;
      break;
    }
    Frame& child = memory_.frame(entry.pfn());
    shared_above = shared_above || child.table.share.load() > 1;
    if (shared_above) {
      ++need.frames;
      need.attachments += attachments_of_copy(child);
    }
    table = TableView(memory_, child);
  }
  return need;
}

Result<void> Zap::reserve() {
  if (range_.empty()) return {};
  const Need first = count_edge(range_.begin());
  // The last byte: an end on a boundary is no edge (S0.53). Within one leaf table both are one.
  const bool has_second = !memory_.geometry().table_range(range_.begin(), kLeafLevel).contains(range_);
  const Need second = has_second ? count_edge(range_.last()) : Need();
  QUIRE_CHECK(frames_.ensure(first.frames + second.frames, FrameUse::kUser));
  return attachments_.ensure(first.attachments + second.attachments);
}

void Zap::run(Gather& gather) {
  if (range_.empty()) return;
  memory_.trace().add(
      TraceEvent::kZap, [&] { return TraceRecord{.space = space_.id(), .address = range_.begin(), .value = range_.size().raw()}; });
  space_.note_peak();
  zap_table(ExclusivePath::root(space_), range_, gather);
}

void Zap::zap_table(ExclusiveTable table, VirtRange range, Gather& gather) {
  if (table.level() == kLeafLevel) return zap_leaves(table, range, gather);
  const Geometry& geometry = memory_.geometry();
  for (VirtAddr at = range.begin(); at < range.end() && table.frame().table.live != 0;) {
    const VirtRange span = geometry.entry_range(at, table.level());
    const VirtRange part = range.intersection(span);
    at = span.end();
    const Slot slot = geometry.slot_of(span.begin(), table.level());
    const Entry entry = table.entry(slot);
    const EntryKind kind = memory_.kind_of(entry, table.level());
    if (kind == EntryKind::kTable) {
      if (gather.is_full()) gather.finish();
      Frame& child = memory_.frame(entry.pfn());
      if (free_range_.contains(span)) {
        detach(table, slot, child, span, gather);
        continue;
      }
      auto mine = ExclusivePath::unshare(space_, table, slot, span, frames_, attachments_, gather, reason_);
      QUIRE_ASSERT(mine.state == ExclusivePath::Unshared::State::kExclusive, "I12: an edge was not reserved for");
      zap_table(*mine.child, part, gather);
      if (mine.child->frame().table.live == 0) {
        if (gather.is_full()) gather.finish();
        detach(table, slot, mine.child->frame(), span, gather);
        memory_.counters().add(Counter::kFreeEmpty);
      }
    } else if (kind == EntryKind::kZeroTable) {
      // Rebuilt by the next read: dropping all of it needs no table even if only a part goes (S2.40).
      SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
      table.clear(slot);
      gather.flush_range(span, FlushRequest::Depth::kTablesToo);
    } else if (kind == EntryKind::kMalformed) {
      memory_.report_malformed(entry, table.level(), "an unmapping");
      SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
      table.clear(slot);
      gather.flush_range(span, FlushRequest::Depth::kTablesToo);
    } else if (kind == EntryKind::kFrame || kind == EntryKind::kPoison) {
      QUIRE_ASSERT(part == span, "S2.51: a part of a large leaf is taken away");
      zap_large(table, slot, span, gather);
    }
  }
}

// One store; contents are released by whoever's drop is the last, after the flush (S0.28, S0.29).
void Zap::detach(ExclusiveTable& table, Slot slot, Frame& child, VirtRange span, Gather& gather) {
  SubtreeCount count;
  count_subtree(memory_, child, count);
  {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    table.clear(slot);
  }
  for (unsigned c = 0; c < kLeafClasses; ++c) {
    if (count.leaves[c] != 0) space_.add_rss(static_cast<LeafClass>(c), -static_cast<std::int64_t>(count.leaves[c]));
  }
  space_.tables_.fetch_sub(count.tables);
  memory_.counters().add(Counter::kDetach);
  memory_.trace().add(TraceEvent::kDetach, [&] {
    return TraceRecord{.space = space_.id(), .address = span.begin(), .table = memory_.pfn_of(child),
                       .share = child.table.share.load_relaxed(), .level = child.level, .reason = reason_};
  });
  gather.drop_table(child, span);
}

// Whoever put the entry in a leaf's place may not have flushed yet; what comes here next must not be hidden by the leaf.
void Zap::flush_vanished(VirtRange mapped, Gather& gather) { gather.flush_range(mapped, FlushRequest::Depth::kLeavesOnly); }

// A huge page, or nothing any more: it may be taken away while nothing is locked.
void Zap::zap_large(ExclusiveTable& table, Slot slot, VirtRange span, Gather& gather) {
  if (gather.is_full()) gather.finish();
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  const Entry old = table.clear(slot);
  if (memory_.kind_of(old, table.level()) != EntryKind::kFrame) return flush_vanished(span, gather);
  Frame& page = memory_.frame(old.pfn());
  drop_attached_page(memory_, table.frame(), page, slot);
  gather.drop_frame(page, span);
}

void Zap::zap_leaves(ExclusiveTable& table, VirtRange range, Gather& gather) {
  const Geometry& geometry = memory_.geometry();
  VirtAddr at = range.begin();
  while (at < range.end()) {
    if (gather.is_full()) gather.finish();
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    for (; at < range.end() && !gather.is_full(); at = at + ByteCount(kPageSize)) {
      if (table.frame().table.live == 0) return;
      const Slot slot = geometry.slot_of(at, kLeafLevel);
      if (table.entry(slot).is_absent()) continue;
      const Entry old = table.clear(slot);
      switch (memory_.kind_of(old, kLeafLevel)) {
        case EntryKind::kFrame: {
          Frame& frame = memory_.frame(old.pfn());
          drop_attached_page(memory_, table.frame(), frame, slot);
          space_.add_rss(old.leaf_class(), -1);
          gather.drop_frame(frame, VirtRange(at, ByteCount(kPageSize)));
          break;
        }
        case EntryKind::kZeroFrame:
        case EntryKind::kRaw:
          gather.flush_range(VirtRange(at, ByteCount(kPageSize)), FlushRequest::Depth::kLeavesOnly);
          break;
        case EntryKind::kMigration: {
          Frame& frame = memory_.frame(old.pfn());
          drop_attached_page(memory_, table.frame(), frame, slot);
          space_.add_rss(old.leaf_class(), -1);
          flush_vanished(VirtRange(at, ByteCount(kPageSize)), gather);
          if (frame.drop_moving()) memory_.pool().give(&frame);  // in fact whoever moves it holds it
          break;
        }
        case EntryKind::kPoison:
          space_.add_rss(old.leaf_class(), -1);
          flush_vanished(VirtRange(at, ByteCount(kPageSize)), gather);
          break;
        case EntryKind::kAbsent:
        case EntryKind::kTable:
        case EntryKind::kZeroTable:
        case EntryKind::kSwap:
        case EntryKind::kMalformed:
        case EntryKind::kMarker:
          break;
      }
    }
  }
}

}  // namespace quire
