// Faults in mappings of objects: their pages, private copies of these, and the tables that objects lend (docs/decisions/0010 and 0012).

#include "quire/object/device_object.h"
#include "quire/space/fault_resolver.h"

namespace quire {

namespace {

// Stores an entry, counted, where nobody else may: in a table of the space's own; in place in a lent one, where there are no markers.
inline void store_leaf(ExclusiveTable& table, Slot slot, Entry seen, Entry entry) { table.fill(slot, seen, entry); }
inline void store_leaf(const TableView& table, Slot slot, Entry, Entry entry) { fill_in_place(table, slot, entry); }

}  // namespace

// False: the page has failed or left its object since we got it. Who takes its entries away has set the flag first, and finds this table
// from now on (rmap/poison.h, R12). Locks: the table's, which is attached to the object.
template <typename Table>
bool FaultResolver::install_object_page(Table& table, Slot slot, Entry seen, Frame& page, Prot prot) {
  page.add_leaf();
  add_attached_page(table.frame(), page.page, slot, supplies_->attachments);
  if (is_lost(page)) {
    drop_attached_page(memory_, table.frame(), page, slot);
    static_cast<void>(page.drop_leaf());
    return false;
  }
  const Writable writable = may_write(page) ? Writable::kYes : Writable::kNo;
  const LeafClass leaf_class = vma_.object->leaf_class();
  const Entry leaf = page.is_large() ? Entry::large_leaf(memory_.pfn_of(page), leaf_class, prot, writable)
                                     : Entry::leaf(memory_.pfn_of(page), leaf_class, prot, writable);
  store_leaf(table, slot, seen, in_place_of(seen, leaf));
  return true;
}

// The page that was got, and what came with it. Returns how many; 0: it is lost, and let go. Locks: as above.
template <typename Table>
std::int64_t FaultResolver::install_object_pages(Table& table, Slot slot, Entry seen, Prot prot) {
  if (!install_object_page(table, slot, seen, *supplies_->object_page, prot)) {
    supplies_->drop_object_page();
    return 0;  // the object is asked again, or says why not
  }
  std::int64_t mapped = 1;
  for (unsigned n = 0; n < supplies_->around_count; ++n) {
    const auto other = static_cast<Slot>(supplies_->around_slot + n);
    Frame* const neighbour = supplies_->around[n];
    if (neighbour != nullptr && table.entry(other).is_absent() && install_object_page(table, other, Entry(), *neighbour, prot)) ++mapped;
  }
  if (!vma_.is_huge()) space_.add_rss(vma_.object->leaf_class(), mapped);  // S2.11
  return mapped;
}

// A page of nobody: its entry is all there is to it.
FaultResolver::Attempt FaultResolver::map_device_page(ExclusiveTable& table, Slot slot) {
  const Pfn frame = static_cast<const DeviceObject&>(*vma_.object).frame_of(vma_.index_of(page_));
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (!table.entry(slot).is_absent()) return Attempt::kRetry;
  table.install(slot, Entry::raw_leaf(frame, vma_.prot));
  return done();
}

// The object's page, the same for all who map it (S0.14, S4.38).
FaultResolver::Attempt FaultResolver::map_object_page(ExclusiveTable& table, Slot slot, Entry seen) {
  if (vma_.flags.has(VmaFlag::kDevice)) return map_device_page(table, slot);
  if (supplies_ == nullptr) return Attempt::kNeedsSupplies;
  if (supplies_->object_page == nullptr) return Attempt::kNeedsObjectPage;
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (table.entry(slot) != seen) return Attempt::kRetry;
  const PageIndex index(supplies_->object_page->page.index);
  if (attachment_for(table, slot, *vma_.object, index) == nullptr) return Attempt::kNeedsAttachments;
  return install_object_pages(table, slot, seen, vma_.prot) != 0 ? done() : Attempt::kRetry;
}

// A reader of a file will read on: what is in memory around its page is mapped along with it, as far as mapping and table go (Linux v6.12
// mm/memory.c:do_fault_around()).
void FaultResolver::hold_around(Supplies& supplies) const {
  if (access_ == Access::kWrite) return;
  const VirtRange window(VirtAddr(page_.raw() & ~(Supplies::kAround * kPageSize - 1)), PageCount(Supplies::kAround).bytes());
  const VirtRange range = window.intersection(geometry().table_range(page_, kLeafLevel)).intersection(vma_.range);
  supplies.around_slot = geometry().slot_of(range.begin(), kLeafLevel);
  supplies.around_count = static_cast<unsigned>(range.pages().raw());
  vma_.object->hold_present(vma_.index_of(range.begin()), std::span(supplies.around, supplies.around_count));
}

// A write through a private mapping where nothing is mapped yet: a copy at once (Linux v6.12 mm/memory.c:do_cow_fault()).
FaultResolver::Attempt FaultResolver::copy_object_page(ExclusiveTable& table, Slot slot) {
  if (supplies_ == nullptr) return Attempt::kNeedsSupplies;
  Frame* const page = supplies_->object_page;
  if (page == nullptr) return Attempt::kNeedsObjectPage;
  if (const Attempt lacking = need_private_page(Contents::kAny); lacking != Attempt::kDone) return lacking;
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (!table.entry(slot).is_absent()) return Attempt::kRetry;
  const Frame::Page identity = own_page(page->page.object, page->page.index);
  if (!has_attachments(table, slot, identity)) return Attempt::kNeedsAttachments;
  memory_.copy_data(*data_, *page);
  // Found by truncation from here on, which marks the page first (R12).
  add_attached_page(table.frame(), identity, slot, supplies_->attachments);
  put_private_page(table, slot, identity, Entry());
  space_.add_rss(LeafClass::kAnon, 1);
  if (!is_lost(*page)) return done();
  Frame& copy = memory_.frame(table.entry(slot).pfn());
  table.clear(slot);
  drop_attached_page(memory_, table.frame(), copy, slot);
  space_.add_rss(LeafClass::kAnon, -1);
  supplies_->gather.drop_frame(copy, leaf_span());
  supplies_->drop_object_page();
  return Attempt::kRetry;
}

// A write through a private mapping to the object's page, mapped for reading: a copy takes its place.
FaultResolver::Attempt FaultResolver::copy_mapped_page(ExclusiveTable& table, Slot slot, Entry seen) {
  if (supplies_ == nullptr) return Attempt::kNeedsSupplies;
  if (const Attempt lacking = need_private_page(Contents::kAny); lacking != Attempt::kDone) return lacking;
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (table.entry(slot) != seen) return Attempt::kRetry;
  Frame& old = memory_.frame(seen.pfn());
  const Frame::Page identity = own_page(old.page.object, old.page.index);
  if (!has_attachments(table, slot, identity)) return Attempt::kNeedsAttachments;
  memory_.copy_data(*data_, old);
  add_attached_page(table.frame(), identity, slot, supplies_->attachments);
  put_private_page(table, slot, identity, seen);
  drop_attached_page(memory_, table.frame(), old, slot);
  space_.add_rss(seen.leaf_class(), -1);
  space_.add_rss(LeafClass::kAnon, 1);
  supplies_->gather.drop_frame(old, leaf_span());
  return done(Counter::kCowCopy);
}

FaultResolver::Attempt FaultResolver::lacking_table() {
  supplies_->wanted_attachments = 1;
  return supplies_->tables.held() == 0 ? Attempt::kNeedsTable : Attempt::kNeedsAttachments;
}

// An absent upper entry all of whose span the mapping covers: the object's own table for it (X12).
FaultResolver::Attempt FaultResolver::borrow(ExclusiveTable& table, Slot slot, const LentKey& key) {
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (!table.entry(slot).is_absent()) return Attempt::kRetry;
  Frame* const lent = borrow_table(memory_, *vma_.object, key, supplies_->tables, supplies_->attachments);
  if (lent == nullptr) return lacking_table();
  table.install(slot, lent_entry(memory_, *lent));
  space_.edits_seen_.store(AddressSpace::kNoEdit);  // what it holds is counted when the space is asked for its figures
  memory_.counters().add(Counter::kAttach);
  return Attempt::kRetry;
}

// An entry that names a table that is shared: if that is lent, or a lent one is below it, the access is served there, for all who are lent
// it. With the table locked that holds the entry, nothing below it goes: a shared table changes for nobody (I2), and a lent one lets go of
// no other.
FaultResolver::Attempt FaultResolver::use_lent(ExclusiveTable& table, Slot slot, Entry seen) {
  supplies_->seen_moves = memory_.moves_of_pages();
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (table.entry(slot) != seen) return Attempt::kRetry;
  Entry entry = seen;
  for (Level level = table.level(); level != kLeafLevel;
       entry = TableView(memory_, memory_.frame(entry.pfn())).entry(geometry().slot_of(page_, level))) {
    if (memory_.kind_of(entry, level) != EntryKind::kTable) return Attempt::kNotLent;
    Frame& child = memory_.frame(entry.pfn());
    if (child.is_lent()) {
      if (child.lent_rights().allows(access_)) return fill_lent(child);
      return level == table.level() ? leave_lent(table, slot, child) : Attempt::kNotLent;
    }
    if (access_ == Access::kWrite) return Attempt::kNotLent;  // the way there is made the space's own first
    level = level.below();
  }
  return Attempt::kNotLent;
}

// The mapping allows more by now than the table was lent for. A table that is lent for that takes its place, if there is one to be had and
// no page is locked in memory by this one (S2.40); else the space gets a copy. Locks: the table's with the entry.
FaultResolver::Attempt FaultResolver::leave_lent(ExclusiveTable& table, Slot slot, Frame& lent) {
  const VirtRange span = geometry().entry_range(page_, table.level());
  if (vma_.flags.has(VmaFlag::kLocked) || !lent_key(geometry(), vma_, span, lent.level)) return Attempt::kNotLent;
  table.clear(slot);
  space_.edits_seen_.store(AddressSpace::kNoEdit);
  supplies_->gather.drop_table(lent, span);
  return Attempt::kNeedsFlush;
}

// Locks: the table's that names it. Takes its own, and those below.
FaultResolver::Attempt FaultResolver::fill_lent(Frame& lent) {
  const TableView table(memory_, lent);
  SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
  if (table.level() == vma_.leaf_level()) return fill_lent_leaf(table);
  const Slot slot = geometry().slot_of(page_, table.level());
  if (table.entry(slot).is_absent()) {
    const std::int64_t first =
        lent.table.attachments->first_index + static_cast<std::int64_t>(slot * (geometry().span(table.level()).raw() >> kPageShift));
    const LentKey key{table.level().below(), first, lent.lent_rights()};
    Frame* const child = borrow_table(memory_, *vma_.object, key, supplies_->tables, supplies_->attachments);
    if (child == nullptr) return lacking_table();
    fill_in_place(table, slot, lent_entry(memory_, *child));
    memory_.counters().add(Counter::kAttach);
    memory_.note_edit();
  }
  return fill_lent(memory_.frame(table.entry(slot).pfn()));
}

// Locks: the table's.
FaultResolver::Attempt FaultResolver::fill_lent_leaf(const TableView& table) {
  const Slot slot = geometry().slot_of(page_, table.level());
  const Entry entry = table.entry(slot);
  switch (memory_.kind_of(entry, table.level())) {
    case EntryKind::kAbsent:
      if (supplies_->object_page == nullptr) return Attempt::kNeedsObjectPage;
      if (install_object_pages(table, slot, entry, table.frame().lent_rights()) == 0) return Attempt::kRetry;
      memory_.note_edit();
      return done();
    case EntryKind::kFrame:
      if (access_ != Access::kWrite || entry.writable()) return spurious();
      // The object hears of the first write, and may refuse it.
      if (supplies_->object_page == nullptr) return Attempt::kNeedsObjectPage;
      if (const Frame& page = memory_.frame(entry.pfn()); !may_write(page)) return refused(page);
      return exchange_in_place(table, slot, entry, entry.with_prot(table.frame().lent_rights(), Writable::kYes)) ? done() : Attempt::kRetry;
    case EntryKind::kMigration: return Attempt::kMoving;
    case EntryKind::kZeroFrame:
    case EntryKind::kRaw:
    case EntryKind::kSwap:
    case EntryKind::kPoison:
    case EntryKind::kMalformed:
    case EntryKind::kMarker:
    case EntryKind::kTable:
    case EntryKind::kZeroTable: return Attempt::kBusError;
  }
  return Attempt::kBusError;
}

}  // namespace quire
