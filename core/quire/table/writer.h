// The one writer: the only module that stores into table memory (S1.23), and the typed views through which tables are read.
//
// A TableView reads. An ExclusiveTable also writes; it exists only for tables that a walk has proven exclusive to one address space (or
// that are not published yet), and nothing converts a view into one (S0.33). Each store keeps the table's counters: live entries, leaves
// by class. The in-place edits that are allowed on shared tables (S1.6) are functions of their own below, and few.
// Locks: whoever stores holds the table's lock, unless the table is not published. Reads of one entry are atomic.
#pragma once

#include <cstdint>

#include "quire/arch/entry.h"
#include "quire/base/assert.h"
#include "quire/base/geometry.h"
#include "quire/frame/frame.h"
#include "quire/memory_manager.h"

namespace quire {

/// Read access to a table. A value: frame and window.
class TableView {
 public:
  TableView(const MemoryManager& memory, Frame& frame) : TableView(memory, memory.pfn_of(frame), frame.level) {}
  /// The table of `level` in frame `pfn`; its descriptor is not looked at.
  TableView(const MemoryManager& memory, Pfn pfn, Level level)
      : frame_(&memory.frame(pfn)), entries_(reinterpret_cast<std::uint64_t*>(memory.window(pfn))), level_(level) {}

  [[nodiscard]] Entry entry(Slot slot) const {
    hooks::yield_point("entry", &entries_[slot]);
    return Entry::decoded(__atomic_load_n(&entries_[slot], __ATOMIC_ACQUIRE));
  }
  /// The first of the slots from `slot` to before `slots` whose entry is not absent, or `slots`. For whoever excludes all who install:
  /// tables are mostly empty, and loops over them would spend most of their time on nothing.
  [[nodiscard]] unsigned next_used(unsigned slot, unsigned slots) const;
  [[nodiscard]] Frame& frame() const { return *frame_; }
  [[nodiscard]] Level level() const { return level_; }
  [[nodiscard]] SpinLock& lock() const { return frame_->lock; }
  [[nodiscard]] std::uint64_t lock_key() const { return table_lock_key(*frame_); }

 protected:
  friend void fill_in_place(const TableView& table, Slot slot, Entry entry);
  friend bool clear_in_place(const TableView& table, Slot slot, std::uint64_t mask);
  friend bool remove_in_place(const TableView& table, Slot slot, Entry seen);
  friend bool exchange_in_place(const TableView& table, Slot slot, Entry seen, Entry fresh);
  Frame* frame_;
  std::uint64_t* entries_;
  Level level_;
};

/// Whether an entry of a table of `level` counts as a leaf there: it maps memory, or stands in the place of such an entry (I10).
[[nodiscard]] inline bool is_leaf_at(Level level, Entry entry) { return level == kLeafLevel ? entry.is_counted() : entry.is_large(); }

/// Write access. Made by the walk (ExclusivePath) and by make_table().
class ExclusiveTable : public TableView {
 public:
  /// Stores into an absent slot. Hardware never writes an absent entry, so this is a plain release store (P2: none → …).
  [[gnu::always_inline]] void install(Slot slot, Entry entry) {
    QUIRE_DEBUG_ASSERT(this->entry(slot).is_absent(), "install over an entry");
    count(entry, 1);
    put(slot, entry);
  }
  /// The same where a marker may stand: `seen`, or nothing.
  [[gnu::always_inline]] void fill(Slot slot, Entry seen, Entry entry) {
    QUIRE_DEBUG_ASSERT(this->entry(slot) == seen, "filled over an entry");
    if (!seen.is_absent()) [[unlikely]] count(seen, -1);
    count(entry, 1);
    put(slot, entry);
  }
  /// Replaces an entry in one store (S1.25) and returns the old one with the bits hardware set up to then.
  Entry replace(Slot slot, Entry entry) {
    hooks::yield_point("replace", &entries_[slot]);
    const Entry old = Entry::decoded(__atomic_exchange_n(&entries_[slot], entry.encoded(), __ATOMIC_SEQ_CST));
    count(old, -1);
    count(entry, 1);
    return old;
  }
  Entry clear(Slot slot) { return replace(slot, Entry()); }
  /// Replaces `expected` by `entry`, or does nothing if hardware has set a bit meanwhile: then the caller looks again.
  [[nodiscard]] bool replace_if(Slot slot, Entry expected, Entry entry) {
    hooks::yield_point("replace_if", &entries_[slot]);
    std::uint64_t raw = expected.encoded();
    if (!__atomic_compare_exchange_n(&entries_[slot], &raw, entry.encoded(), false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)) {
      return false;
    }
    count(expected, -1);
    count(entry, 1);
    return true;
  }
  /// The same for a leaf that goes on naming its frame: what is counted does not change.
  [[nodiscard]] bool change_rights(Slot slot, Entry expected, Entry entry) {
    QUIRE_DEBUG_ASSERT(
        expected.is_counted() && entry.is_counted() && expected.pfn() == entry.pfn() && expected.leaf_class() == entry.leaf_class(),
        "I10: more than rights would change");
    hooks::yield_point("change_rights", &entries_[slot]);
    std::uint64_t raw = expected.encoded();
    return __atomic_compare_exchange_n(&entries_[slot], &raw, entry.encoded(), false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
  }
  /// Sets W on a present entry whose path and target are exclusive (I3).
  void allow_write(Slot slot, const ZeroObjects& zero) {
    QUIRE_ASSERT(!zero.is_zero(entry(slot).pfn()), "I13: write permission on zero");
    hooks::yield_point("allow_write", &entries_[slot]);
    __atomic_fetch_or(&entries_[slot], Entry::write_mask(), __ATOMIC_SEQ_CST);
  }
  /// Notes that the page may have been written.
  void mark_soft_dirty(Slot slot) {
    hooks::yield_point("mark_soft_dirty", &entries_[slot]);
    __atomic_fetch_or(&entries_[slot], Entry::soft_dirty_mask(), __ATOMIC_SEQ_CST);
  }

 private:
  friend class ExclusivePath;
  friend class NewTable;
  using TableView::TableView;
  explicit ExclusiveTable(const TableView& view) : TableView(view) {}

  void put(Slot slot, Entry entry) {
    hooks::yield_point("put", &entries_[slot]);
    __atomic_store_n(&entries_[slot], entry.encoded(), __ATOMIC_RELEASE);
  }
  [[gnu::always_inline]] void count(Entry entry, int sign) {
    if (entry.is_absent()) return;
    Frame::Table& t = frame_->table;
    t.live = static_cast<std::uint16_t>(t.live + sign);
    if (is_leaf_at(level_, entry)) {
      auto& leaves = t.leaves[static_cast<unsigned>(entry.leaf_class())];
      leaves = static_cast<std::uint16_t>(leaves + sign);
    }
  }
};

/// A table being built: exclusive because nobody knows it yet.
class NewTable : public ExclusiveTable {
 public:
  /// Makes an empty table of `level` with share count 1 from a held frame.
  NewTable(MemoryManager& memory, Frame& held, Level level);
  /// Stores a copied entry; its counting is done for the whole table by take_counts().
  void put_copy(Slot slot, Entry entry) { __atomic_store_n(&entries_[slot], entry.encoded(), __ATOMIC_RELAXED); }
  /// Takes over the counters of the table copied from, `skipped` entries of which (not leaves) were left out.
  void take_counts(const Frame& from, unsigned skipped) {
    frame_->table.live = static_cast<std::uint16_t>(from.table.live - skipped);
    for (unsigned c = 0; c < kLeafClasses; ++c) frame_->table.leaves[c] = from.table.leaves[c];
  }
  /// Fills all of an empty table with one zero entry (a private copy of a zero table).
  void fill(const MemoryManager& memory, Entry entry);
  NewTable(const NewTable&) = delete;
  NewTable& operator=(const NewTable&) = delete;
};

/// Clears bits of an entry of any table, shared or not, keeping what hardware sets meanwhile. Returns whether any was set.
inline bool clear_in_place(const TableView& table, Slot slot, std::uint64_t mask) {
  std::uint64_t* raw = &table.entries_[slot];
  hooks::yield_point("clear_bits", raw);
  return (__atomic_fetch_and(raw, ~mask, __ATOMIC_SEQ_CST) & mask) != 0;
}

/// Stores into an absent slot of a lent table, for all who are lent it (X4). Whoever does this notes the edit. Locks: the table's.
inline void fill_in_place(const TableView& table, Slot slot, Entry entry) {
  QUIRE_ASSERT(table.frame_->is_lent() && table.entry(slot).is_absent(), "S1.6: not an edit that is allowed in place");
  Frame::Table& t = table.frame_->table;
  t.live = static_cast<std::uint16_t>(t.live + 1);
  if (is_leaf_at(table.level_, entry)) {
    auto& leaves = t.leaves[static_cast<unsigned>(entry.leaf_class())];
    leaves = static_cast<std::uint16_t>(leaves + 1);
  }
  hooks::yield_point("fill_in_place", &table.entries_[slot]);
  __atomic_store_n(&table.entries_[slot], entry.encoded(), __ATOMIC_RELEASE);
}

/// Replaces a leaf of any table, shared or not, by what stands for it, or back: frame ↔ migration entry, frame → poison. False: hardware or
/// somebody else has changed it. What the table counts stays as it is; flushing all sharers is the caller's. Locks: the table's.
inline bool exchange_in_place(const TableView& table, Slot slot, Entry seen, Entry fresh) {
  QUIRE_ASSERT(is_leaf_at(table.level_, seen) && is_leaf_at(table.level_, fresh) && seen.leaf_class() == fresh.leaf_class(),
               "S1.6: not an edit that is allowed in place");
  hooks::yield_point("exchange_in_place", &table.entries_[slot]);
  std::uint64_t raw = seen.encoded();
  return __atomic_compare_exchange_n(&table.entries_[slot], &raw, fresh.encoded(), false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}
/// Takes a leaf, or what stands in its place, out of any table, shared or not: its page has left its object, or the object has ended before
/// the page it is a copy of (truncation). False: hardware has changed it. Whoever does this flushes all sharers and notes the edit. Locks:
/// the table's.
inline bool remove_in_place(const TableView& table, Slot slot, Entry seen) {
  QUIRE_ASSERT(is_leaf_at(table.level_, seen), "S1.6: not an edit that is allowed in place");
  hooks::yield_point("remove_in_place", &table.entries_[slot]);
  std::uint64_t raw = seen.encoded();
  if (!__atomic_compare_exchange_n(&table.entries_[slot], &raw, Entry().encoded(), false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)) return false;
  Frame::Table& t = table.frame_->table;
  t.live = static_cast<std::uint16_t>(t.live - 1);
  auto& leaves = t.leaves[static_cast<unsigned>(seen.leaf_class())];
  leaves = static_cast<std::uint16_t>(leaves - 1);
  return true;
}
/// Clears W (S0.13). Taking away is always allowed in place: fork does it at the top, copying in both copies (R9). Locks: the table's.
inline bool clear_write_in_place(const TableView& table, Slot slot) { return clear_in_place(table, slot, Entry::write_mask()); }

/// Fills a zero table at start-up (ZeroObjects).
void fill_zero_table(MemoryManager& memory, Pfn table, Entry entry);

}  // namespace quire
