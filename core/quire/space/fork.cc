// fork: share the topmost tables, or copy down to where the mode says.
//
// In mode tree the child's root gets the parent's entries with W off, the shares of the tables they name go up, the parent's own entries lose
// W, and one flush makes that true: nothing below is touched, whatever is mapped (X1, X2). The map is shared by a pointer (X14). Modes leaf
// and copy run the same routine with a lower level at which sharing begins. Spans that a child must not get are taken out of the child
// afterwards, by the operations any program would use (S0.16).

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/zap.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

/// Builds the child's tree.
class ForkCopy {
 public:
  ForkCopy(MemoryManager& memory, Level share_level)
      : memory_(memory), share_level_(share_level), frames_(memory_.pool()), attachments_(memory_) {}

  /// Whether the parent lost write permission somewhere and must be flushed.
  [[nodiscard]] bool wants_flush() const { return wants_flush_; }

  /// Copies the user half of `from` into `to`. Errors: ENOMEM, `to` holds what was done so far.
  Result<void> copy(Frame& from, ExclusiveTable& to) {
    if (from.level == kLeafLevel) return copy_leaves(from, to);
    const TableView source(memory_, from);
    const bool is_root = from.level == memory_.geometry().root_level();
    const unsigned slots = is_root ? memory_.geometry().user_root_slots() : memory_.geometry().slots();
    unsigned left = from.table.live;
    for (unsigned n = 0; n < slots && left != 0; ++n) {
      const auto slot = static_cast<Slot>(n);
      const Entry entry = source.entry(slot);
      if (entry.is_absent()) continue;
      --left;
      const EntryKind kind = memory_.kind_of(entry, from.level);
      if (kind == EntryKind::kZeroTable) {
        to.install(slot, entry);  // uncounted (I13)
      } else if (kind != EntryKind::kTable) {
        memory_.report_malformed(entry, from.level, "a fork");
      } else if (Level(from.level).below() <= share_level_) {
        share(source, slot, entry, to);
      } else {
        QUIRE_CHECK(frames_.ensure(1, FrameUse::kUser));
        NewTable child(memory_, *frames_.take(), Level(from.level).below());
        memory_.counters().add(Counter::kCopyFork);
        // Named by the child before it is filled, so that a failure further down leaves one tree to tear down (S0.23).
        to.install(slot, Entry::table(memory_.pfn_of(child.frame()), Writable::kYes));
        QUIRE_CHECK(copy(memory_.frame(entry.pfn()), child));
      }
    }
    return {};
  }

 private:
  // Increment and W-off under the lock of the table that holds the entry (R8).
  void share(const TableView& source, Slot slot, Entry entry, ExclusiveTable& to) {
    SpinGuard guard(source.lock(), LockRank::kTable, source.lock_key());
    add_share(memory_.frame(entry.pfn()));
    if (entry.writable()) {
      clear_write_in_place(source, slot);
      wants_flush_ = true;
    }
    to.install(slot, entry.without_write());
    memory_.counters().add(Counter::kShareFork);
  }

  Result<void> copy_leaves(Frame& from, ExclusiveTable& to) {
    QUIRE_CHECK(attachments_.ensure(from.table.attachment_count));
    SpinGuard guard(from.lock, LockRank::kTable, table_lock_key(from));
    copy_entries(memory_, from, static_cast<NewTable&>(to), attachments_);
    wants_flush_ = true;
    return {};
  }

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
  return child;
}

// The child is known to nobody yet, so its own lock is not needed; its fields are written under the parent's.
Result<void> AddressSpace::take_over_from(AddressSpace& parent, ForkMode mode) {
  const Level root_level = memory_.geometry().root_level();
  const Level share_level = mode == ForkMode::kTree ? root_level.below() : mode == ForkMode::kLeaf ? kLeafLevel : Level(0);
  ForkCopy copier(memory_, share_level);
  ExclusiveTable root = ExclusivePath::root(*this);
  const Result<void> copied = copier.copy(parent.root_frame(), root);
  if (copier.wants_flush()) {
    // Before the child can run or the parent's next store can be missed (S0.15, R6); also when the fork fails.
    Gather gather(parent);
    gather.flush_range(VirtRange(VirtAddr(0), memory_.geometry().user_top()), FlushRequest::Depth::kTablesToo);
  }
  if (!copied) return copied;
  for (unsigned c = 0; c < kLeafClasses; ++c) rss_[c].store(parent.rss_[c].load());
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
  mapped_peak_ = parent.mapped_;
  data_ = parent.data_;
  stack_ = parent.stack_;
  exec_ = parent.exec_;
  locked_ = parent.locked_;
}

// DONTFORK mappings are not the child's, WIPEONFORK ones are empty in it; a locked mapping is not locked in it (man7 mlock(2)).
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
    Vma fresh = *vma;
    fresh.flags = vma->flags.without(kLockedFlags);
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
