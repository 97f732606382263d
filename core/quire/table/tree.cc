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

void add_share(Frame& table) {
  QUIRE_DEBUG_ASSERT(table.kind == FrameKind::kTable, "only tables are shared");
  const std::uint32_t before = table.table.share.fetch_add(1);
  QUIRE_ASSERT(before != 0, "I1: a share raised from zero");
}

bool drop_share(Frame& table) {
  const std::uint32_t before = table.table.share.fetch_sub(1);
  QUIRE_ASSERT(before != 0, "I1: a share lowered below zero");
  return before == 1;
}

Attachment* find_attachment(Frame& table, const MemoryObject& object, std::int64_t first_index) {
  for (Attachment* a = table.table.attachments; a != nullptr; a = a->next_in_table) {
    if (a->object == &object && a->first_index == first_index) return a;
  }
  return nullptr;
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

void add_attached_entry(Frame& table, MemoryObject& object, std::int64_t first_index, AttachmentReservation& attachments) {
  Attachment* attachment = find_attachment(table, object, first_index);
  if (attachment == nullptr) {
    attachment = &attachments.take();
    attachment->object = &object;
    attachment->first_index = first_index;
    attachment->entries = 0;
    link_attachment(table, *attachment);
  }
  ++attachment->entries;
}

void drop_attached_entry(MemoryManager& memory, Frame& table, const Frame& page, Slot slot) {
  Attachment* attachment =
      find_attachment(table, *page.page.object, static_cast<std::int64_t>(page.page.index) - static_cast<std::int64_t>(slot));
  QUIRE_ASSERT(attachment != nullptr && attachment->entries != 0, "I11: a leaf without its attachment");
  if (--attachment->entries == 0) unlink_attachment(memory, table, *attachment);
}

namespace {

// One entry of a table above the leaves. False: malformed, left out.
bool copy_upper(MemoryManager& memory, const TableView& source, Slot slot, Entry entry, NewTable& to) {
  switch (memory.kind_of(entry, source.level())) {
    case EntryKind::kTable:
      add_share(memory.frame(entry.pfn()));
      if (entry.writable()) clear_write_in_place(source, slot);
      to.put_copy(slot, entry.without_write());
      return true;
    case EntryKind::kZeroTable:
      to.put_copy(slot, entry);
      return true;
    case EntryKind::kMalformed:
    case EntryKind::kFrame:
    case EntryKind::kZeroFrame:
    case EntryKind::kRaw:
    case EntryKind::kSwap:
    case EntryKind::kMigration:
    case EntryKind::kPoison:
    case EntryKind::kMarker:
    case EntryKind::kAbsent:
      memory.report_malformed(entry, source.level(), "a copy");  // stays with the original, never shared
      return false;
  }
  return false;
}

// One leaf, or what stands in a leaf's place (S0.41).
bool copy_leaf(MemoryManager& memory, const TableView& source, Slot slot, Entry entry, NewTable& to) {
  switch (memory.kind_of(entry, kLeafLevel)) {
    case EntryKind::kFrame:
      memory.frame(entry.pfn()).add_leaf();
      if (entry.is_private_leaf()) {
        if (entry.writable()) clear_write_in_place(source, slot);
        entry = entry.without_write();
      }
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

}  // namespace

void copy_entries(MemoryManager& memory, Frame& from, NewTable& to, AttachmentReservation& attachments) {
  const TableView source(memory, from);
  const unsigned slots = memory.geometry().slots();
  const bool leaves = from.level == kLeafLevel;
  const Pfn end(memory.config().frames.raw());
  unsigned skipped = 0;
  for (unsigned n = 0, left = from.table.live; n < slots && left != 0; ++n) {
    const auto slot = static_cast<Slot>(n);
    const Entry entry = source.entry(slot);
    if (entry.is_absent()) continue;
    --left;
    if (leaves && entry.present() && entry.is_private_leaf() && entry.pfn() < end) [[likely]] {
      // By far the most: a page of private memory. The same as copy_leaf() without its questions.
      memory.frame(entry.pfn()).add_leaf();
      if (entry.writable()) clear_write_in_place(source, slot);
      to.put_copy(slot, entry.without_write());
      continue;
    }
    const bool copied = leaves ? copy_leaf(memory, source, slot, entry, to) : copy_upper(memory, source, slot, entry, to);
    if (!copied) ++skipped;
  }
  to.take_counts(from, skipped);
  for (const Attachment* a = from.table.attachments; a != nullptr; a = a->next_in_table) {
    Attachment& copy = attachments.take();
    copy.object = a->object;
    copy.first_index = a->first_index;
    copy.entries = a->entries;
    link_attachment(to.frame(), copy);
  }
}

void release_table(MemoryManager& memory, Frame& table) {
  if (!drop_share(table)) return;
  {
    // A walk from an object may be at this table; it revalidates by the attachment, which goes before any frame does (R24, R25).
    SpinGuard guard(table.lock, LockRank::kTable, table_lock_key(table));
    while (table.table.attachments != nullptr) unlink_attachment(memory, table, *table.table.attachments);
  }
  const TableView view(memory, table);
  const unsigned slots = memory.geometry().slots();
  unsigned left = table.table.live;
  for (unsigned n = 0; n < slots && left != 0; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) continue;
    --left;
    switch (memory.kind_of(entry, table.level)) {
      case EntryKind::kTable:
        release_table(memory, memory.frame(entry.pfn()));
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

void count_subtree(const MemoryManager& memory, Frame& table, SubtreeCount& count) {
  ++count.tables;
  if (table.level == kLeafLevel) {
    for (unsigned c = 0; c < kLeafClasses; ++c) count.leaves[c] += table.table.leaves[c];
    return;
  }
  const TableView view(memory, table);
  const unsigned slots = memory.geometry().slots();
  unsigned left = table.table.live;
  for (unsigned n = 0; n < slots && left != 0; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) continue;
    --left;
    if (memory.kind_of(entry, table.level) == EntryKind::kTable) count_subtree(memory, memory.frame(entry.pfn()), count);
  }
}

}  // namespace quire
