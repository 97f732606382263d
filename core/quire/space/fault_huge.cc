// Faults in mappings of huge pages (docs/decisions/0016-huge-pages.md): large leaves in tables above level 1.
//
// As small pages', with a pool for the frames: a shared page is the object's, a private one the space's own; a read of private memory makes
// a page, since there is no huge zero page here (Linux v6.12 mm/hugetlb.c:hugetlb_no_page(), hugetlb_wp()). An empty pool is SIGBUS, but
// for a page that was promised and that a fork has shared: its owner takes it back. Two faults on one page would take two pages where one
// is reserved: the second waits for the first. So nobody maps, copies or takes over the page meanwhile but truncation and its owner, and
// its contents are made without a table's lock.

#include "quire/object/huge_object.h"
#include "quire/rmap/poison.h"
#include "quire/space/fault_resolver.h"

namespace quire {

FaultOutcome FaultResolver::run_huge(Supplies& supplies) {
  if (vma_.is_shared()) return run_with(supplies);  // the object sees to it
  ExclusiveGuard guard(huge_object().filling(vma_.index_of(page_)));
  return run_with(supplies);
}

FaultResolver::Attempt FaultResolver::fill_huge(ExclusiveTable& table, Slot slot, Entry seen) {
  switch (memory_.kind_of(seen, table.level())) {
    case EntryKind::kAbsent: return fill_absent_huge(table, slot);
    case EntryKind::kFrame:
      if (access_ != Access::kWrite || vma_.is_shared()) return restore_rights(table, slot, seen);
      if (seen.writable()) return spurious();
      if (!seen.is_private_leaf() || !memory_.frame(seen.pfn()).has_one_holder()) return copy_huge(table, slot, seen);
      return reuse_page(table, slot, seen);
    case EntryKind::kMalformed:
    case EntryKind::kTable:
    case EntryKind::kZeroTable:
      memory_.report_malformed(seen, table.level(), "a fault on a huge page");
      return Attempt::kBusError;
    case EntryKind::kZeroFrame:
    case EntryKind::kRaw:
    case EntryKind::kSwap:
    case EntryKind::kMigration:
    case EntryKind::kPoison:
    case EntryKind::kMarker: return Attempt::kBusError;
  }
  return Attempt::kBusError;
}

FaultResolver::Attempt FaultResolver::fill_absent_huge(ExclusiveTable& table, Slot slot) {
  const PageIndex index = vma_.index_of(page_);
  if (vma_.is_shared()) return map_object_page(table, slot, Entry());
  if (huge_object().is_beyond_end(index)) return Attempt::kBusError;
  if (supplies_->object_page == nullptr) supplies_->object_page = huge_object().page_or_null(index);
  if (supplies_->object_page == nullptr) return put_huge_page(table, slot, Entry(), nullptr);
  if (access_ != Access::kWrite) return map_object_page(table, slot, Entry());
  return put_huge_page(table, slot, Entry(), supplies_->object_page);
}

// A write to a page that others map, too: the object's, which may leave it meanwhile, or one that a fork has shared, which our entry keeps
// and nobody may write (S4.25).
FaultResolver::Attempt FaultResolver::copy_huge(ExclusiveTable& table, Slot slot, Entry seen) {
  Frame& old = memory_.frame(seen.pfn());
  if (!seen.is_private_leaf() && supplies_->object_page != &old) {
    supplies_->drop_object_page();
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;
    old.get();
    supplies_->object_page = &old;
  }
  return put_huge_page(table, slot, seen, &old);
}

void FaultResolver::drop_data() {
  if (data_ != nullptr) memory_.pool().give(data_);
  data_ = nullptr;
}

// There is no page to copy to. The one who had it promised keeps it then, and those with whom a fork has shared it lose it: they were
// promised none. Once, since others may hold it still.
FaultResolver::Attempt FaultResolver::take_back(ExclusiveTable& table, Slot slot, Entry seen) {
  if (!vma_.flags.has(VmaFlag::kHugeReserved) || !seen.is_private_leaf() || supplies_->took_back) return Attempt::kBusError;
  supplies_->took_back = true;
  Frame& page = memory_.frame(seen.pfn());
  {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;
    page.get();
  }
  take_from_others(memory_, page, table.frame());
  if (page.put()) memory_.pool().give(&page);
  return Attempt::kRetry;
}

// A page of the space's own in the place of `seen`, of zeros or a copy of `from`. Who has a page reserved for each it has none of takes it
// from there.
FaultResolver::Attempt FaultResolver::put_huge_page(ExclusiveTable& table, Slot slot, Entry seen, const Frame* from) {
  if (space_.anon_object_.load() == nullptr) return Attempt::kNeedsAnonObject;
  const Frame::Page identity{space_.anon_object_.load(), page_.raw() / leaf_span().size().raw(), nullptr, 0};
  {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;
    if (!has_attachments(table, slot, identity)) return Attempt::kNeedsAttachments;
  }
  const bool is_reserved = vma_.flags.has(VmaFlag::kHugeReserved) && !seen.is_private_leaf();
  data_ = memory_.huge().of(table.level()).take_or_null(is_reserved ? HugePool::From::kReserve : HugePool::From::kFree);
  if (data_ == nullptr) return take_back(table, slot, seen);
  if (from != nullptr) {
    memory_.copy_huge(*data_, *from);
  } else {
    memory_.clear_huge(*data_);
  }
  {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) == seen && has_attachments(table, slot, identity)) {
      add_attached_page(table.frame(), identity, slot, supplies_->attachments);
      put_private_page<PageSize::kHuge>(table, slot, identity, seen);
      if (seen.is_absent()) return done();
      Frame& old = memory_.frame(seen.pfn());
      drop_attached_page(memory_, table.frame(), old, slot);
      supplies_->gather.drop_frame(old, leaf_span());
      return done(Counter::kCowCopy);
    }
  }
  drop_data();
  return Attempt::kRetry;
}

}  // namespace quire
