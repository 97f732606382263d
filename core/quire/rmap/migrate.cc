#include "quire/rmap/migrate.h"

#include "quire/base/assert.h"
#include "quire/rmap/rmap.h"
#include "quire/table/tree.h"

namespace quire {

namespace {

/// One page on its way.
class Migration {
 public:
  Migration(MemoryManager& memory, MemoryObject& object, Frame& from)
      : memory_(memory), object_(object), from_(from), bracket_(memory.notifiers(), memory.pfn_of(from)) {}

  // Nobody is disturbed for a page that somebody else holds for certain: one who moves it, too.
  [[nodiscard]] bool is_promising() const {
    const std::uint64_t counts = from_.counts.load();
    return Frame::references_in(counts) == expected(Frame::leaf_entries_in(counts)) && !from_.has_flag(Frame::kPoisoned);
  }

  // What was mapped anew while we walked is met by another walk; what is still in the way then is left alone.
  bool isolate() {
    constexpr unsigned kWalks = 3;
    for (unsigned n = 0; n < kWalks; ++n) {
      const unsigned replaced = replace_entries();
      // Until every processor has forgotten the page, one of any sharer may write it (R14).
      if (replaced != 0) memory_.flush_all(FlushRequest::Depth::kLeavesOnly);
      if (replaced != 0) bracket_.invalidate();
      if (freeze()) return true;
      if (from_.leaf_entries() == 0) return false;
    }
    return false;
  }

  // Pre: frozen. Whatever the page was to its object, `to` is now; entries follow.
  // False: it has left its object meanwhile (truncation); `to` is nothing then.
  [[nodiscard]] bool take_over(Frame& to) {
    memory_.copy_data(to, from_);
    to.page = from_.page;
    {
      const SpinGuard guard(from_.lock, LockRank::kFrame, from_.key());
      to.flags = static_cast<std::uint16_t>(from_.flags & (Frame::kDirty | Frame::kOwned));
    }
    to.kind = FrameKind(from_.kind);
    to.counts.store(ours_alone());
    if (object_.replace_page(PageIndex(from_.page.index), from_, to)) return true;
    to.counts.store(0);
    return false;
  }

  // Every migration entry becomes an entry of `to`, which may be the page itself.
  void restore_entries(Frame& to) {
    const Pfn pfn = memory_.pfn_of(to);
    // The walk meets all, in whatever order they are moved and copied, but those of a table that is just being released, which go with it.
    for_each_entry(memory_, object_, from_, [&](const TableView& table, Slot slot, Entry entry, EntryKind kind) {
      if (kind != EntryKind::kMigration) return;
      if (to.has_flag(Frame::kRemoved)) {
        // Truncation came in between: it marked `to`, and passes an entry that stands for `from_` (R12).
        while (!remove_in_place(table, slot, entry)) entry = table.entry(slot);
        drop_attached_page(memory_, table.frame(), from_, slot);
        static_cast<void>(from_.drop_moving());
        memory_.note_edit();
        return;
      }
      if (&to == &from_) {
        from_.end_moving();
      } else {
        to.add_leaf();
      }
      // A page that was stored while no entry named it has lost the right to be written, which its migration entries kept (I14).
      const bool keeps_write = !object_.gives_notice() || to.has_flag(Frame::kOwned);
      const Entry restored = entry.migrated_to(pfn);
      const bool done = exchange_in_place(table, slot, entry, keeps_write ? restored : restored.without_write());
      QUIRE_ASSERT(done, "S1.6: a migration entry changed under its table's lock");
      if (&to != &from_) static_cast<void>(from_.drop_moving());
    });
  }

  void unfreeze() { from_.counts.fetch_sub(Frame::kFrozen); }

 private:
  // References: the entries', the object's, ours.
  [[nodiscard]] std::uint32_t expected(std::uint32_t entries) const { return entries + object_.own_references() + 1; }
  [[nodiscard]] std::uint64_t ours_alone() const { return Frame::kOneReference * expected(0); }

  unsigned replace_entries() {
    unsigned replaced = 0;
    for_each_entry(memory_, object_, from_, [&](const TableView& table, Slot slot, Entry entry, EntryKind kind) {
      if (kind != EntryKind::kFrame) return;
      // Accessed and dirty flags go along, so hardware must not have set one meanwhile (I14).
      while (!exchange_in_place(table, slot, entry, entry.as_migration())) entry = table.entry(slot);
      from_.begin_moving();
      ++replaced;
    });
    return replaced;
  }

  // Nobody can reach the page: no entry names it, and nobody holds it but its migration entries, its object and us. From here on nobody
  // gets a hold. Both numbers are those of one instant: migration entries come and go under the page's lock.
  bool freeze() {
    const SpinGuard guard(from_.lock, LockRank::kFrame, from_.key());
    std::uint64_t counts = Frame::kOneReference * expected(from_.moving);
    return from_.counts.compare_exchange(counts, counts | Frame::kFrozen);
  }

  MemoryManager& memory_;
  MemoryObject& object_;
  Frame& from_;
  FrameBracket bracket_;
};

// Zero: moved. (An errno, not a Result: g++ 12 believes those of this function uninitialized.)
Errno move(MemoryManager& memory, Frame& from, FrameReservation& target) {
  QUIRE_ASSERT(target.held() != 0, "I12: a page is moved to a frame that was reserved");
  if (!from.is_page() || from.is_large()) return Errno::kInval;
  const ObjectHold object(memory, from);
  if (object.get() == nullptr) return Errno::kBusy;
  Migration migration(memory, *object.get(), from);
  if (!migration.is_promising()) return Errno::kBusy;
  if (!migration.isolate()) {
    migration.restore_entries(from);
    memory.end_move();
    return Errno::kBusy;
  }
  Frame& to = *target.take();
  if (!migration.take_over(to)) {
    memory.pool().give(&to);
    migration.restore_entries(from);
    migration.unfreeze();
    memory.end_move();
    return Errno::kBusy;
  }
  migration.restore_entries(to);
  migration.unfreeze();
  memory.end_move();
  // What `from` was to its object `to` is now, and our reference on `to` has served.
  for (std::uint32_t n = object.get()->own_references(); n != 0; --n) static_cast<void>(from.put());
  if (to.put()) memory.pool().give(&to);
  return Errno{0};
}

}  // namespace

Result<void> migrate_page(MemoryManager& memory, Frame& from, FrameReservation& target) {
  const Errno error = move(memory, from, target);
  memory.counters().add(error == Errno{0} ? Counter::kMigrateSuccess : Counter::kMigrateFail);
  if (error != Errno{0}) return fail(error);
  return {};
}

Result<Pfn> migrate_frame(MemoryManager& memory, Pfn pfn) {
  FrameReservation target(memory.pool());
  QUIRE_CHECK(target.ensure(1, FrameUse::kUser));
  if (memory.config().frames.raw() <= pfn.raw()) return fail(Errno::kInval);
  Frame& from = memory.frame(pfn);
  if (!from.try_get()) return fail(Errno::kInval);
  const Pfn to = memory.pfn_of(target.first());
  const Result<void> moved = migrate_page(memory, from, target);
  if (from.put()) memory.pool().give(&from);
  if (!moved) return fail(moved.error());
  return to;
}

}  // namespace quire
