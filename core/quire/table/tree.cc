#include "quire/table/tree.h"

#include "quire/base/assert.h"

namespace quire {

void AttachmentReservation::give_back() {
  while (held_ != 0) memory_.attachments().destroy(&take());
}

Result<void> AttachmentReservation::ensure(std::uint32_t count) {
  while (held_ < count) {
    Attachment* attachment = memory_.attachments().make_or_null();
    if (attachment == nullptr) return fail(Errno::kNoMem);
    attachment->next_in_table = first_;
    first_ = attachment;
    ++held_;
  }
  return {};
}

Attachment& AttachmentReservation::take() {
  QUIRE_ASSERT(held_ != 0, "I12: an operation reserved too few attachments");
  Attachment* attachment = first_;
  first_ = attachment->next_in_table;
  --held_;
  return *attachment;
}

std::uint32_t add_share(Frame& table) {
  QUIRE_DEBUG_ASSERT(table.kind == FrameKind::kTable || table.is_lent(), "only tables are shared");
  const std::uint32_t before = table.table.share.fetch_add(1);
  QUIRE_ASSERT(before != 0, "I1: a share raised from zero");
  return before + 1;
}

void add_traced_share(MemoryManager& memory, Frame& table) {
  const std::uint32_t shares = add_share(table);
  memory.trace().add(TraceEvent::kShare,
                     [&] { return TraceRecord{.table = memory.pfn_of(table), .share = shares, .level = table.level}; });
}

std::uint32_t drop_share(Frame& table) {
  const std::uint32_t before = table.table.share.fetch_sub(1);
  QUIRE_ASSERT(before != 0, "I1: a share lowered below zero");
  return before - 1;
}

namespace {

void link_attachment(Frame& table, Attachment& attachment) {
  attachment.table = &table;
  attachment.next_in_table = table.table.attachments;
  table.table.attachments = &attachment;
  ++table.table.attachment_count;
  attachment.object->attach(attachment);
}

void unlink_attachment(MemoryManager& memory, Frame& table, Attachment& attachment) {
  Attachment** link = &table.table.attachments;
  while (*link != &attachment) link = &(*link)->next_in_table;
  *link = attachment.next_in_table;
  --table.table.attachment_count;
  attachment.object->detach(attachment);
  memory.attachments().destroy(&attachment);
}

}  // namespace

Attachment& make_attachment(Frame& table, MemoryObject& object, std::int64_t first_index, AttachmentReservation& attachments) {
  Attachment& attachment = attachments.take();
  attachment.object = &object;
  attachment.first_index = first_index;
  attachment.entries = 0;
  link_attachment(table, attachment);
  return attachment;
}

namespace {

std::int64_t position_of(std::uint64_t index, Slot slot) { return static_cast<std::int64_t>(index) - static_cast<std::int64_t>(slot); }

void add_attached_entry(Frame& table, MemoryObject& object, std::int64_t first_index, AttachmentReservation& attachments) {
  Attachment* attachment = find_attachment(table, object, first_index);
  if (attachment == nullptr) attachment = &make_attachment(table, object, first_index, attachments);
  ++attachment->entries;
}

void drop_from(MemoryManager& memory, Frame& table, const MemoryObject& object, std::int64_t first_index) {
  Attachment* const attachment = find_attachment(table, object, first_index);
  QUIRE_ASSERT(attachment != nullptr && attachment->entries != 0, "I11: a leaf without its attachment");
  if (--attachment->entries == 0 && !table.is_lent())
    unlink_attachment(memory, table, *attachment);  // a lent table keeps the one it is known by
}

}  // namespace

void add_attached_page(Frame& table, const Frame::Page& page, Slot slot, AttachmentReservation& attachments) {
  add_attached_entry(table, *page.object, position_of(page.index, slot), attachments);
  if (page.source != nullptr) add_attached_entry(table, *page.source, position_of(page.source_index, slot), attachments);
}

void drop_attached_page(MemoryManager& memory, Frame& table, const Frame& page, Slot slot) {
  drop_from(memory, table, *page.page.object, position_of(page.page.index, slot));
  if (page.page.source != nullptr) drop_from(memory, table, *page.page.source, position_of(page.page.source_index, slot));
}

std::uint32_t lacking_attachments(Frame& table, const Frame::Page& page, Slot slot) {
  std::uint32_t lacking = find_attachment(table, *page.object, position_of(page.index, slot)) == nullptr ? 1 : 0;
  if (page.source != nullptr && find_attachment(table, *page.source, position_of(page.source_index, slot)) == nullptr) ++lacking;
  return lacking;
}

namespace {

// One entry of a table above the leaves that names no table of the space's. False: malformed, left out.
bool copy_other_upper(MemoryManager& memory, const TableView& source, Slot slot, Entry entry, NewTable& to) {
  const Level level = source.level();
  const EntryKind kind = memory.kind_of(entry, level);
  if (kind == EntryKind::kFrame) {
    memory.frame(entry.pfn()).add_leaf();
    if (entry.is_private_leaf() && entry.writable()) clear_write_in_place(source, slot);
    to.put_copy(slot, entry.is_private_leaf() ? entry.without_write() : entry);
    return true;
  }
  if (kind == EntryKind::kTable) add_traced_share(memory, memory.frame(entry.pfn()));  // lent: W stays, it is the mapping's
  if (kind == EntryKind::kTable || kind == EntryKind::kZeroTable || kind == EntryKind::kPoison) {
    to.put_copy(slot, entry);
    return true;
  }
  memory.report_malformed(entry, level, "a copy");  // stays with the original, never shared
  return false;
}

// A leaf that is no page of private memory, or what stands in a leaf's place (S0.41).
bool copy_other_leaf(MemoryManager& memory, const TableView& source, Slot slot, Entry entry, NewTable& to) {
  switch (memory.kind_of(entry, kLeafLevel)) {
    case EntryKind::kFrame:
      memory.frame(entry.pfn()).add_leaf();
      to.put_copy(slot, entry);
      return true;
    case EntryKind::kMigration:
      // It keeps the rights of the leaf it stands for, which are restored with it: W goes in both, as from a leaf (R9).
      memory.frame(entry.pfn()).copy_moving();
      if (entry.is_private_leaf()) {
        clear_write_in_place(source, slot);
        entry = entry.without_write();
      }
      to.put_copy(slot, entry);
      return true;
    case EntryKind::kRaw:
    case EntryKind::kZeroFrame:
    case EntryKind::kPoison:
    case EntryKind::kMarker:
      to.put_copy(slot, entry);
      return true;
    case EntryKind::kSwap:
      // No swap device exists yet, so nothing makes such an entry; copying one needs its slot counted (S0.18).
      assertion_failed("kSwap", "S0.18: a swap entry without a swap device", __FILE__, __LINE__);
    case EntryKind::kMalformed:
    case EntryKind::kTable:
    case EntryKind::kZeroTable:
    case EntryKind::kAbsent:
      memory.report_malformed(entry, kLeafLevel, "a copy");
      return false;
  }
  return false;
}

// The loops below run through what nearly all of a table is and stop at anything else: the first write after a fork waits for two full
// ones. `left` entries are left; those met are taken off.

[[gnu::cold, gnu::noinline]] void trace_share(MemoryManager& memory, Pfn table, Level level, std::uint32_t shares) {
  memory.trace().add(TraceEvent::kShare, [&] { return TraceRecord{.table = table, .share = shares, .level = level}; });
}

// Copies entries that name tables, from `slot` on. Returns the first slot that has anything else.
unsigned copy_tables(MemoryManager& memory, const TableView source, unsigned slot, unsigned& left, NewTable& to) {
  const unsigned slots = memory.geometry().slots();
  const Level below = source.level().below();
  const bool traced = memory.trace().wants(TraceEvent::kShare);
  while (slot < slots && left != 0) {
    const auto n = static_cast<Slot>(slot);
    const Entry entry = source.entry(n);
    if (entry.is_absent()) {
      slot = source.next_used(slot + 1, slots);
      continue;
    }
    if (!entry.present() || !memory.is_own_table(entry.pfn(), below)) break;
    --left;
    ++slot;
    const std::uint32_t shares = add_share(memory.frame(entry.pfn()));
    if (traced) [[unlikely]] trace_share(memory, entry.pfn(), below, shares);
    if (entry.writable()) clear_write_in_place(source, n);
    to.put_copy(n, entry.without_write());
  }
  return slot;
}

// Copies leaves of private memory likewise.
unsigned copy_private_leaves(const MemoryManager& memory, const TableView source, unsigned slot, unsigned& left, NewTable& to) {
  const unsigned slots = memory.geometry().slots();
  const Pfn end(memory.config().frames.raw());
  while (slot < slots && left != 0) {
    const auto n = static_cast<Slot>(slot);
    const Entry entry = source.entry(n);
    if (entry.is_present_private_leaf()) {
      if (end <= entry.pfn()) break;
      memory.frame(entry.pfn()).add_leaf();
    } else if (entry.is_absent()) {
      slot = source.next_used(slot + 1, slots);
      continue;
    } else if (entry.is_private_leaf() && memory.kind_of(entry, kLeafLevel) == EntryKind::kFrame) {
      memory.frame(entry.pfn()).add_leaf();  // without any right
    } else {
      break;
    }
    if (entry.writable()) clear_write_in_place(source, n);
    to.put_copy(n, entry.without_write());
    --left;
    ++slot;
  }
  return slot;
}

}  // namespace

// One above those that hold leaves is known by its attachment, which counts none.
std::uint32_t attachments_of_lent_copy(const Frame& table) {
  return table.table.attachments->object->leaf_level() == table.level ? table.table.attachment_count : 0;
}

void copy_entries(MemoryManager& memory, Frame& from, NewTable& to, AttachmentReservation& attachments) {
  const TableView source(memory, from);
  const unsigned slots = memory.geometry().slots();
  const bool leaves = from.level == kLeafLevel;
  unsigned skipped = 0;
  unsigned left = from.table.live;
  for (unsigned n = 0;; ++n) {
    n = leaves ? copy_private_leaves(memory, source, n, left, to) : copy_tables(memory, source, n, left, to);
    if (n == slots || left == 0) break;
    --left;
    const auto slot = static_cast<Slot>(n);
    const Entry entry = source.entry(slot);
    const bool copied = leaves ? copy_other_leaf(memory, source, slot, entry, to) : copy_other_upper(memory, source, slot, entry, to);
    if (!copied) ++skipped;
  }
  to.take_counts(from, skipped);
  for (const Attachment* a = from.table.attachments; a != nullptr; a = a->next_in_table) {
    if (a->entries == 0) continue;
    Attachment& copy = attachments.take();
    copy.object = a->object;
    copy.first_index = a->first_index;
    copy.entries = a->entries;
    link_attachment(to.frame(), copy);
  }
}

namespace {

void free_table(MemoryManager& memory, Frame& table);

// Most of a fork's shares are not the last: no call for those.
[[gnu::always_inline]] inline void release_share(MemoryManager& memory, Frame& table) {
  const std::uint32_t left = drop_share(table);
  memory.trace().add(TraceEvent::kDrop, [&] { return TraceRecord{.table = memory.pfn_of(table), .share = left, .level = table.level}; });
  if (left == 0) free_table(memory, table);
}

// What a table names goes with it, level by level.
void free_table(MemoryManager& memory, Frame& table) {
  memory.trace().add(TraceEvent::kFree, [&] { return TraceRecord{.table = memory.pfn_of(table), .level = table.level}; });
  {
    // A walk from an object may be at this table; it revalidates by the attachment, which goes before any frame does (R24, R25).
    SpinGuard guard(table.lock, LockRank::kTable, table_lock_key(table));
    while (table.table.attachments != nullptr) unlink_attachment(memory, table, *table.table.attachments);
  }
  const TableView view(memory, table);
  const unsigned slots = memory.geometry().slots();
  const Level level = table.level;
  const Pfn end(memory.config().frames.raw());
  unsigned left = table.table.live;
  for (unsigned n = 0; n < slots && left != 0; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) {
      n = view.next_used(n + 1, slots) - 1;
      continue;
    }
    --left;
    if (level == kLeafLevel && entry.is_present_private_leaf() && entry.pfn() < end) [[likely]] {
      // As below, without the questions.
      if (Frame& frame = memory.frame(entry.pfn()); frame.drop_leaf()) memory.pool().give(&frame);
      continue;
    }
    switch (memory.kind_of(entry, level)) {
      case EntryKind::kTable:
        release_share(memory, memory.frame(entry.pfn()));
        break;
      case EntryKind::kFrame:
        if (Frame& frame = memory.frame(entry.pfn()); frame.drop_leaf()) memory.pool().give(&frame);
        break;
      case EntryKind::kMigration:
        if (Frame& frame = memory.frame(entry.pfn()); frame.drop_moving()) memory.pool().give(&frame);
        break;
      case EntryKind::kRaw:
      case EntryKind::kZeroFrame:
      case EntryKind::kZeroTable:
      case EntryKind::kSwap:
      case EntryKind::kPoison:
      case EntryKind::kMalformed:
      case EntryKind::kMarker:
      case EntryKind::kAbsent:
        break;
    }
  }
  memory.counters().add(Counter::kTableFree);
  memory.pool().give(&table);
}

}  // namespace

void release_table(MemoryManager& memory, Frame& table) { release_share(memory, table); }

void count_subtree(const MemoryManager& memory, Frame& table, SubtreeCount& count) {
  ++count.tables;
  if (table.level == kLeafLevel) {
    for (unsigned c = 0; c < kLeafClasses; ++c) count.leaves[c] += table.table.leaves[c];
    return;
  }
  std::uint64_t large = 0;
  for (unsigned c = 0; c < kLeafClasses; ++c) large += table.table.leaves[c];
  if (large != 0) count.huge += large * (memory.geometry().span(table.level).raw() >> kPageShift);
  const TableView view(memory, table);
  const unsigned slots = memory.geometry().slots();
  unsigned left = table.table.live;
  for (unsigned n = view.next_used(0, slots); n < slots && left != 0; n = view.next_used(n + 1, slots)) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    --left;
    if (memory.kind_of(entry, table.level) == EntryKind::kTable) count_subtree(memory, memory.frame(entry.pfn()), count);
  }
}

}  // namespace quire
