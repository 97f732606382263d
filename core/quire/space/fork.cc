// fork: share the topmost tables, or copy down to where the mode says.
//
// In mode tree the child's root gets the parent's entries with W off, the shares of the tables they name go up, the parent's own entries
// lose W, and one flush makes that true: nothing below is touched, whatever is mapped (X1, X2). The map is shared by a pointer (X14). Modes
// leaf and copy run the same routine with a lower level at which sharing begins. Spans that a child must not get are taken out of the child
// afterwards, by the operations any program would use (S0.16).

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/guards.h"
#include "quire/space/own_tables.h"
#include "quire/space/zap.h"
#include "quire/table/tree.h"
#include "quire/table/two_tables.h"
#include "quire/tlb/gather.h"

namespace quire {

/// Builds the child's tree.
class ForkCopy {
 public:
  ForkCopy(AddressSpace& child, Level share_level)
      : child_(child), memory_(child.memory_), share_level_(share_level), frames_(memory_.pool()), attachments_(memory_) {}

  /// Whether the parent lost write permission somewhere and must be flushed.
  [[nodiscard]] bool wants_flush() const { return wants_flush_; }

  /// Copies the user half of `from` into `to`. Errors: ENOMEM, `to` holds what was done so far.
  Result<void> copy(Frame& from, ExclusiveTable& to, VirtAddr base) {
    if (from.level == kLeafLevel) return copy_leaves(from, to, base);
    const TableView source(memory_, from);
    const bool is_root = from.level == memory_.geometry().root_level();
    const unsigned slots = is_root ? memory_.geometry().user_root_slots() : memory_.geometry().slots();
    unsigned left = from.table.live;
    for (unsigned n = 0; n < slots && left != 0; ++n) {
      const auto slot = static_cast<Slot>(n);
      const Entry entry = source.entry(slot);
      if (entry.is_absent()) {
        n = source.next_used(n + 1, slots) - 1;
        continue;
      }
      --left;
      const EntryKind kind = memory_.kind_of(entry, from.level);
      if (kind == EntryKind::kZeroTable) {
        to.install(slot, entry);  // uncounted (I13)
      } else if (kind == EntryKind::kFrame || kind == EntryKind::kPoison) {
        QUIRE_CHECK(copy_large(source, slot, to, base + ByteCount(n * memory_.geometry().span(from.level).raw())));
      } else if (kind != EntryKind::kTable) {
        memory_.report_malformed(entry, from.level, "a fork");
      } else if (memory_.frame(entry.pfn()).is_lent()) {
        add_traced_share(memory_, memory_.frame(entry.pfn()));
        to.install(slot, entry);
        memory_.counters().add(Counter::kAttach);
      } else if (Level(from.level).below() <= share_level_ && !(entry.writable() && settle_holds(memory_.frame(entry.pfn()))) &&
                 memory_.may_share()) {
        share(source, slot, entry, to, base + ByteCount(n * memory_.geometry().span(from.level).raw()));
      } else {
        if (!has_frame()) return fail(Errno::kNoMem);
        NewTable child(memory_, *frames_.take(), Level(from.level).below());
        memory_.counters().add(Counter::kCopyFork);
        // Named by the child before it is filled, so that a failure further down leaves one tree to tear down (S0.23).
        to.install(slot, Entry::table(memory_.pfn_of(child.frame()), Writable::kYes));
        QUIRE_CHECK(copy(memory_.frame(entry.pfn()), child, base + ByteCount(n * memory_.geometry().span(from.level).raw())));
      }
    }
    return {};
  }

 private:
  // Not a Result, and not inlined: g++ 12 believes those here uninitialized.
  [[gnu::noinline]] bool has_frame() { return frames_.ensure(1, FrameUse::kUser).has_value(); }

  // Increment and W-off under the lock of the table that holds the entry (R8).
  void share(const TableView& source, Slot slot, Entry entry, ExclusiveTable& to, VirtAddr address) {
    SpinGuard guard(source.lock(), LockRank::kTable, source.lock_key());
    const std::uint32_t shares = add_share(memory_.frame(entry.pfn()));
    memory_.trace().add(TraceEvent::kShare, [&] {
      return TraceRecord{.space = child_.id(), .address = address, .table = entry.pfn(), .share = shares, .level = source.level().below()};
    });
    if (entry.writable()) {
      clear_write_in_place(source, slot);
      wants_flush_ = true;
    }
    to.install(slot, entry.without_write());
    memory_.counters().add(Counter::kShareFork);
  }

  Result<void> copy_leaves(Frame& from, ExclusiveTable& to, VirtAddr base) {
    AnonObject* object = nullptr;
    if (from.has_flag(Frame::kHoldsBelow)) {
      if (const std::uint32_t pinned = settle_leaves(from); pinned != 0) {
        QUIRE_TRY(object, child_.anon_object());
        QUIRE_CHECK(frames_.ensure(pinned, FrameUse::kUser));
      }
    }
    QUIRE_CHECK(attachments_.ensure(from.table.attachment_count + 1U));
    {
      SpinGuard guard(from.lock, LockRank::kTable, table_lock_key(from));
      copy_entries(memory_, from, static_cast<NewTable&>(to), attachments_);
    }
    if (object != nullptr) copy_pinned_pages(to, base, *object);
    wants_flush_ = true;
    return {};
  }

  // A leaf of a huge page, which may go while nothing is locked: truncation and the page's owner take it away.
  [[gnu::noinline]] Result<void> copy_large(const TableView& source, Slot slot, ExclusiveTable& to, VirtAddr address) {
    QUIRE_CHECK(attachments_.ensure(2));
    if (const Entry seen = source.entry(slot); seen.is_private_leaf() && seen.names_frame() && memory_.frame(seen.pfn()).pins() != 0) {
      return copy_pinned_large(source.level(), slot, seen, to, address);
    }
    const TwoTables both(source, to);
    Entry entry = source.entry(slot);
    if (memory_.kind_of(entry, source.level()) == EntryKind::kFrame) {
      Frame& page = memory_.frame(entry.pfn());
      page.add_leaf();
      add_attached_page(to.frame(), page.page, slot, attachments_);
      if (entry.is_private_leaf()) {
        clear_write_in_place(source, slot);
        wants_flush_ = true;  // W may have gone before, for a page that is held
        entry = source.entry(slot);
      }
    }
    to.install(slot, entry);
    return {};
  }

  // One that is pinned is copied at once, from what the pool has to spare.
  Result<void> copy_pinned_large(Level level, Slot slot, Entry seen, ExclusiveTable& to, VirtAddr address) {
    QUIRE_TRY(AnonObject * object, child_.anon_object());
    Frame* const fresh = memory_.huge().of(level).take_or_null(HugePool::From::kFree);
    if (fresh == nullptr) return fail(Errno::kNoMem);
    memory_.copy_huge(*fresh, memory_.frame(seen.pfn()));
    fresh->page = Frame::Page{object, address.raw() / memory_.geometry().span(level).raw(), nullptr, 0};
    fresh->kind = FrameKind::kAnon;
    fresh->counts.store(Frame::kOneLeaf);
    memory_.counters().add(Counter::kForkCopyPinned);
    const SpinGuard guard(to.lock(), LockRank::kTable, to.lock_key());
    to.install(slot, seen.with_frame(memory_.pfn_of(*fresh)));
    add_attached_page(to.frame(), fresh->page, slot, attachments_);
    return {};
  }

  // The parent keeps a page it has pinned, with whoever writes there without its tables; the child gets a copy at once (I9, S1.17; Linux
  // v6.12 mm/memory.c:copy_present_page()). A pin that is gone by now needs none.
  void copy_pinned_pages(ExclusiveTable& to, VirtAddr base, AnonObject& object) {
    const SpinGuard guard(to.lock(), LockRank::kTable, to.lock_key());
    for_each_private_page(to, [&](Slot slot, Entry entry, Frame& page) {
      if (page.pins() == 0) return;
      Frame& fresh = *frames_.take();
      memory_.copy_data(fresh, page);
      const PageIndex index = page_index(base) + PageCount(slot);
      fresh.page = Frame::Page{&object, index.raw(), page.page.source, page.page.source_index};
      fresh.kind = FrameKind::kAnon;
      fresh.counts.store(Frame::kOneLeaf);
      add_attached_page(to.frame(), fresh.page, slot, attachments_);
      to.replace(slot, entry.with_frame(memory_.pfn_of(fresh)));
      drop_attached_page(memory_, to.frame(), page, slot);
      static_cast<void>(page.drop_leaf());  // the parent's entry is another
      memory_.counters().add(Counter::kForkCopyPinned);
    });
  }

  template <typename Visit>
  void for_each_private_page(const TableView& table, Visit visit) {
    for (unsigned n = 0, left = table.frame().table.live; n < memory_.geometry().slots() && left != 0; ++n) {
      const auto slot = static_cast<Slot>(n);
      const Entry entry = table.entry(slot);
      if (entry.is_absent()) continue;
      --left;
      if (memory_.kind_of(entry, kLeafLevel) == EntryKind::kFrame && entry.is_private_leaf()) {
        visit(slot, entry, memory_.frame(entry.pfn()));
      }
    }
  }

  // Makes a subtree of the parent's own fit to be shared: whether it is, that is, no pinned page lies below. Pages that somebody merely
  // holds lose W, or whoever is left with the table would take it over with their W and write to them (R20). Holds that are gone are
  // forgotten.
  bool settle_holds(Frame& table) {
    if (!table.has_flag(Frame::kHoldsBelow)) return false;
    bool pinned = false;
    if (table.level == kLeafLevel) {
      pinned = settle_leaves(table) != 0;
    } else {
      const TableView view(memory_, table);
      for (unsigned n = 0; n < memory_.geometry().slots(); ++n) {
        const Entry entry = view.entry(static_cast<Slot>(n));
        // Below an entry without W nothing was held through this space, or it has been settled.
        if (!entry.writable()) continue;
        const EntryKind kind = memory_.kind_of(entry, table.level);
        if (kind == EntryKind::kTable && settle_holds(memory_.frame(entry.pfn()))) pinned = true;
        if (kind == EntryKind::kFrame && settle_leaf(view, static_cast<Slot>(n), entry)) pinned = true;
      }
      table.flags = pinned ? Frame::kHoldsBelow : Frame::kNoFlag;
    }
    return pinned;
  }

  // Whether the private page of a leaf is pinned. Locks: the table's, or the space's.
  bool settle_leaf(const TableView& table, Slot slot, Entry entry) {
    const Frame& page = memory_.frame(entry.pfn());
    if (!entry.is_private_leaf()) return false;
    if (page.pins() != 0) return true;
    if (entry.writable() && !page.has_one_holder()) clear_write_in_place(table, slot);
    return false;
  }

  // How many pages of a leaf table are pinned.
  std::uint32_t settle_leaves(Frame& table) {
    std::uint32_t pinned = 0;
    const TableView view(memory_, table);
    const SpinGuard guard(table.lock, LockRank::kTable, table_lock_key(table));
    for_each_private_page(view, [&](Slot slot, Entry entry, const Frame&) { pinned += settle_leaf(view, slot, entry) ? 1 : 0; });
    table.flags = pinned != 0 ? Frame::kHoldsBelow : Frame::kNoFlag;
    return pinned;
  }

  AddressSpace& child_;
  MemoryManager& memory_;
  Level share_level_;
  FrameReservation frames_;
  AttachmentReservation attachments_;
  bool wants_flush_ = false;
};

Result<AddressSpace*> AddressSpace::fork() { return fork(fork_mode()); }

Result<AddressSpace*> AddressSpace::fork(ForkMode mode) {
  AddressSpaceConfig config;
  config.fork_mode = fork_mode();
  config.borrow_tables = borrows();
  config.mmap_top = mmap_top_;
  config.mmap_floor = mmap_floor_;
  QUIRE_TRY(AddressSpace * child, make(memory_, config));
  Result<void> copied{};
  {
    ExclusiveGuard guard(lock_);
    copied = child->take_over_from(*this, mode);
  }
  if (copied) copied = child->drop_fork_special();
  if (!copied) {
    child->release();
    return fail(Errno::kNoMem);
  }
  child->family_.store(family_.load());
  memory_.counters().add(Counter::kFork);
  memory_.trace().add(TraceEvent::kFork, [&] { return TraceRecord{.space = id(), .value = child->id()}; });
  return child;
}

// The child is known to nobody yet, so its own lock is not needed; its fields are written under the parent's.
Result<void> AddressSpace::take_over_from(AddressSpace& parent, ForkMode mode) {
  const Level root_level = memory_.geometry().root_level();
  const Level share_level = mode == ForkMode::kTree ? root_level.below() : mode == ForkMode::kLeaf ? kLeafLevel : Level(0);
  ForkCopy copier(*this, share_level);
  ExclusiveTable root = ExclusivePath::root(*this);
  Gather gather(parent);
  const Result<void> copied = copier.copy(parent.root_frame(), root, VirtAddr(0));
  if (copier.wants_flush()) {
    // Before the child can run or the parent's next store can be missed (S0.15, R6); also when the fork fails.
    gather.flush_range(VirtRange(VirtAddr(0), memory_.geometry().user_top()), FlushRequest::Depth::kTablesToo);
    gather.finish();
  }
  if (!copied) return copied;
  for (unsigned c = 0; c < kLeafClasses; ++c) rss_[c].store(parent.rss_[c].load());
  edits_seen_.store(parent.edits_seen_.load());
  tables_.store(parent.tables_.load());
  rss_peak_.store(rss_now().raw());
  copy_state_from(parent);
  return {};
}

// The child's own lock guards these fields, but nobody else can have it: the child is not published (S0.24).
void AddressSpace::copy_state_from(AddressSpace& parent) {
  map_ = parent.map_;
  map_.fork_tags(memory_.next_id());
  limits_ = parent.limits_;
  layout_ = parent.layout_;
  brk_ = parent.brk_;
  mapped_ = parent.mapped_;
  mapped_peak_ = parent.mapped_.all;
}

// DONTFORK mappings are not the child's, WIPEONFORK ones are empty in it; a locked mapping is not locked in it (man7 mlock(2)), a
// registered one not registered, its pages not guarded (Linux v6.12 fs/userfaultfd.c:dup_userfaultfd()), and of huge pages it has none
// reserved.
Result<void> AddressSpace::drop_fork_special() {
  ExclusiveGuard guard(lock_);
  const VmaMap inherited = map_;
  for (const Vma* vma = inherited.first_with(kForkSpecialFlags, VirtAddr(0)); vma != nullptr;
       vma = inherited.first_with(kForkSpecialFlags, vma->range.end())) {
    Gather gather(*this);
    if (vma->flags.has(VmaFlag::kDontFork)) {
      VmaMap changed = map_;
      QUIRE_CHECK(changed.erase_range(vma->range));
      QUIRE_CHECK(unmap_locked(vma->range, changed, gather, Counter::kUnshareFork));
      commit_map(std::move(changed), vma->range);
      continue;
    }
    if (vma->flags.has(VmaFlag::kWipeOnFork)) {
      Zap zap(*this, vma->range, vma->range, Counter::kUnshareFork);
      QUIRE_CHECK(zap.reserve());
      zap.run(gather);
    }
    if (vma->flags.has(VmaFlag::kCopyOnFork)) {
      OwnTables tables(*this, Counter::kUnshareFork);
      tables.count(vma->range);
      QUIRE_CHECK(tables.reserve());
      tables.run(
          vma->range, gather, [](ExclusiveTable&, VirtRange) {}, [](ExclusiveTable&, Slot, VirtRange) {});
    }
    if (vma->flags.has(VmaFlag::kAsksGuarded)) {
      Guards guards(*this);
      guards.count_removal(vma->range);
      QUIRE_CHECK(guards.reserve());
      guards.remove(vma->range, gather);
    }
    Vma fresh = *vma;
    fresh.flags = vma->flags.without(kLockedFlags | VmaFlag::kHugeReserved);
    fresh.forget_handler();
    if (vma->flags.has(VmaFlag::kWipeOnFork)) fresh.anon = AnonTag();
    if (fresh.flags != vma->flags || !(fresh.anon == vma->anon)) {
      VmaMap changed = map_;
      QUIRE_CHECK(changed.replace(vma->range.begin(), fresh));  // not merged, as on Linux
      commit_map(std::move(changed), vma->range);
    }
  }
  return {};
}

}  // namespace quire
