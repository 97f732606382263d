// Unsharing: the one routine by which an address space gets its own copy of a table (S2.12).

#include "quire/base/assert.h"
#include "quire/space/address_space.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

void ExclusivePath::note_holds(AddressSpace& space, VirtAddr address, Level level) {
  const Geometry& geometry = space.memory_.geometry();
  ExclusiveTable table = root(space);
  for (;;) {
    table.frame().flags = Frame::kHoldsBelow;
    if (table.level() == level) return;
    table = child(space.memory_, table, table.entry(geometry.slot_of(address, table.level())));
  }
}

ExclusivePath::Unshared ExclusivePath::unshare(AddressSpace& space, ExclusiveTable& table, Slot slot, VirtRange span,
                                               FrameReservation& frames, AttachmentReservation& attachments, Gather& gather,
                                               Counter reason) {
  using State = Unshared::State;
  MemoryManager& memory = space.memory_;
  const auto trace = [&](const Frame& child, std::uint32_t share, TraceEvent event, std::uint64_t copy) {
    memory.trace().add(event, [&] {
      return TraceRecord{.space = space.id(), .address = span.begin(), .value = copy, .table = memory.pfn_of(child), .share = share,
                         .level = child.level, .reason = reason};
    });
  };
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  // What the caller saw is looked at again: a sibling may have done the work (R3).
  const Entry entry = table.entry(slot);
  const Level below = table.level().below();
  switch (memory.kind_of(entry, table.level())) {
    case EntryKind::kZeroTable: {
      if (frames.held() == 0) return {State::kNeedsFrame, 0, std::nullopt};
      NewTable copy(memory, *frames.take(), below);
      const Prot prot(static_cast<std::uint8_t>(entry.executable() ? Prot::kReadBit | Prot::kExecBit : Prot::kReadBit));
      copy.fill(memory, below == kLeafLevel ? Entry::leaf(memory.zero().frame(), LeafClass::kNone, prot, Writable::kNo)
                                            : Entry::zero_table(memory.zero().table(below.below()), prot));
      const Entry fresh = Entry::table(memory.pfn_of(copy.frame()), Writable::kYes);
      table.replace(slot, fresh);
      space.tables_.fetch_add(1);
      gather.flush_range(span, FlushRequest::Depth::kTablesToo);
      return {State::kExclusive, 0, child(memory, table, fresh)};
    }
    case EntryKind::kTable: {
      Frame& old = memory.frame(entry.pfn());
      if (entry.writable() && !old.is_lent()) return {State::kExclusive, 0, child(memory, table, entry)};
      SpinGuard inner(old.lock, LockRank::kTable, table_lock_key(old));
      if (old.table.share.load() == 1) {
        QUIRE_DEBUG_ASSERT(!old.is_lent(), "X12: a lent table without its object's share");
        // Only we name it, and only a fork of ours could add a name: the space's lock keeps that out (R2, R8, S0.48).
        QUIRE_DEBUG_ASSERT(space.lock_.is_held(), "S0.48: a table taken over without its space's lock");
        table.allow_write(slot, memory.zero());
        memory.counters().add(Counter::kReuseTable);
        trace(old, 1, TraceEvent::kReuse, 0);
        return {State::kExclusive, 0, child(memory, table, entry.with_write())};
      }
      if (frames.held() == 0) return {State::kNeedsFrame, 0, std::nullopt};
      const std::uint32_t wanted = attachments_of_copy(old);
      if (attachments.held() < wanted) return {State::kNeedsAttachments, wanted, std::nullopt};
      NewTable copy(memory, *frames.take(), below);
      copy_entries(memory, old, copy, attachments);
      // Its leaves are read-only, so W here lets nobody write before the flush; whoever makes a leaf writable looks after its own flush.
      const Entry fresh = Entry::table(memory.pfn_of(copy.frame()), Writable::kYes);
      table.replace(slot, fresh);
      memory.counters().add(reason);
      trace(old, old.table.share.load_relaxed(), TraceEvent::kUnshare, fresh.pfn().raw());
      gather.drop_table(old, span);
      return {State::kExclusive, 0, child(memory, table, fresh)};
    }
    case EntryKind::kAbsent:
    case EntryKind::kFrame:
    case EntryKind::kZeroFrame:
    case EntryKind::kRaw:
    case EntryKind::kSwap:
    case EntryKind::kMigration:
    case EntryKind::kPoison:
    case EntryKind::kMalformed:
    case EntryKind::kMarker:
      return {State::kChanged, 0, std::nullopt};
  }
  return {State::kChanged, 0, std::nullopt};
}

}  // namespace quire
