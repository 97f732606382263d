// The reverse map: from a page to every entry that names it, without looking at processes or mappings (design.md rule 10).
//
// page → its object (ObjectRegistry) → the tables attached around the page's index → slot → compare with the page. Each table is
// met once however many processes share it (S2.21), with its lock held. An entry that is copied meanwhile is met in the copy, which is
// attached behind its original (R13); if mremap moves one to where the walk may have been, all are visited once more (R15): visits bear
// repeating.
//
// Here, too: the accessed and dirty flags of a page, collected from all its entries. Moving a page is migrate.h, failing memory poison.h.
// It does not know who reaches a table; whoever takes something away flushes all processors (platform::flush_all).
#pragma once

#include <cstdint>

#include "quire/memory_manager.h"
#include "quire/object/memory_object.h"
#include "quire/table/writer.h"

namespace quire {

/// Holds the object of a page while it is looked through. Pre: the page is held, so that it goes on naming the same object.
class ObjectHold {
 public:
  ObjectHold(MemoryManager& memory, const Frame& page)
      : object_(page.is_page() ? memory.objects().hold_or_null(page.page.object) : nullptr) {
    if (object_ == nullptr || object_->owns(page)) return;
    object_->drop_user();
    object_ = nullptr;
  }
  ~ObjectHold() {
    if (object_ != nullptr) object_->drop_user();
  }
  ObjectHold(const ObjectHold&) = delete;
  ObjectHold& operator=(const ObjectHold&) = delete;
  /// Null: the page has no entries, since an object with entries lives.
  [[nodiscard]] MemoryObject* get() const { return object_; }

 private:
  MemoryObject* object_;
};

/// What a lookup met.
struct RmapVisits {
  std::uint32_t tables = 0;   ///< locked and looked at
  std::uint32_t entries = 0;  ///< that name the page
};

/// Visits every entry that names `page` or, as a migration entry, stands for it: visit(TableView, Slot, Entry, EntryKind), with the table's
/// lock held; it may edit the entry in place and nothing else.
///
/// Locks: none held; takes the tables' one by one.
/// Pre:   the caller holds `page`, and `object` is its object.
template <typename Visit>
RmapVisits for_each_entry(MemoryManager& memory, MemoryObject& object, const Frame& page, Visit visit) {
  RmapVisits visits;
  const Pfn pfn = memory.pfn_of(page);
  memory.counters().add(Counter::kRmapLookup);
  object.for_each_table(PageIndex(page.page.index), [&](Frame& frame, Slot slot) {
    ++visits.tables;
    const TableView table(memory, frame);
    const Entry entry = table.entry(slot);
    const EntryKind kind = memory.kind_of(entry, table.level());
    if ((kind == EntryKind::kFrame || kind == EntryKind::kMigration) && entry.pfn() == pfn) {
      ++visits.entries;
      visit(table, slot, entry, kind);
    }
    return true;
  }, page.leaf_level());
  memory.counters().add(Counter::kRmapVisit, visits.tables);
  return visits;
}

/// Visits the entries of `page`, whose object is found first. Pre: the caller holds `page`.
template <typename Visit>
RmapVisits for_each_entry(MemoryManager& memory, const Frame& page, Visit visit) {
  const ObjectHold object(memory, page);
  if (object.get() == nullptr) return {};
  return for_each_entry(memory, *object.get(), page, visit);
}

/// How many entries say that `page` was used since the last call, and takes the flag from them; each entry counts once, however many
/// processes share it (S2.22). Nothing is flushed: a processor that has the translation sets the flag when it next walks (P1).
/// Pre: the caller holds `page`.
[[nodiscard]] unsigned test_and_clear_young(MemoryManager& memory, Frame& page);

/// Moves the dirty flags of all entries into the page (I14) and flushes, so that a store after this call shows again. Returns whether the
/// page was written since clear_dirty(). Pre: the caller holds `page`.
[[nodiscard]] bool collect_dirty(MemoryManager& memory, Frame& page);
/// What was written has been saved: the page counts as clean until an entry says otherwise.
void clear_dirty(Frame& page);

}  // namespace quire
