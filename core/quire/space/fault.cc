// Faults: from the mapping that covers an address to an entry that lets the access through.
//
// One entry point for reads, writes and instruction fetches, from hardware and software (S1.13). The space's lock is held shared, so
// siblings fault at the same time; tables on an exclusive path cannot vanish meanwhile, so the walk down writable upper entries takes no
// lock, and only the table whose entry changes is locked. Nothing is allocated under a table lock: an attempt says what it lacks, the
// driver reserves it and tries again; every attempt looks anew at whatever is not exclusive.
//
// A leaf replaced by another frame of the same contents is first installed read-only, then flushed, then made writable: no CPU can write
// the new frame while another still reads the old one (P2 "leaf → other frame"). A space with a single actor does it in one step.

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

/// One fault being resolved.
class FaultResolver {
 public:
  FaultResolver(AddressSpace& space, const Vma& vma, VirtAddr address, Access access, bool only_actor)
      : space_(space),
        memory_(space.memory_),
        geometry_(memory_.geometry()),
        zero_(memory_.zero()),
        vma_(vma),
        page_(address.page_floor()),
        access_(access),
        only_actor_(only_actor),
        tables_(memory_.pool()),
        data_(memory_.pool()),
        attachments_(memory_),
        table_(ExclusivePath::root(space)),
        gather_(space) {}

  ~FaultResolver() {
    if (object_page_ != nullptr && object_page_->put()) memory_.pool().give(object_page_);
    if (replacing_) end_replacement();
  }

  FaultOutcome run() {
    for (;;) {
      const Attempt attempt = try_once();
      switch (attempt) {
        case Attempt::kDone:
          gather_.finish();
          if (replacing_) finish_leaf();
          return FaultOutcome::kMinor;
        case Attempt::kBusError: return FaultOutcome::kBusError;
        case Attempt::kRetry: break;
        case Attempt::kNeedsTable:
          if (!tables_.ensure(1, FrameUse::kUser)) return FaultOutcome::kOutOfMemory;
          break;
        case Attempt::kNeedsPage:
          if (!data_.ensure(1, FrameUse::kUser)) return FaultOutcome::kOutOfMemory;
          if (wants_clear_ && !is_clear_) {
            memory_.clear_data(data_.first());
            is_clear_ = true;
          }
          break;
        case Attempt::kNeedsAttachments:
          if (!attachments_.ensure(wanted_attachments_)) return FaultOutcome::kOutOfMemory;
          break;
        case Attempt::kNeedsAnonObject: {
          auto object = space_.anon_object();
          if (!object) return FaultOutcome::kOutOfMemory;
          anon_ = *object;
          break;
        }
        case Attempt::kNeedsObjectPage: {
          const std::uint32_t moves = memory_.moves_of_pages();
          auto page = vma_.object->get_page(vma_.index_of(page_));
          if (!page && page.error() == Errno::kAgain) {
            memory_.wait_for_moves(moves);
            break;
          }
          if (!page) return page.error() == Errno::kNoMem ? FaultOutcome::kOutOfMemory : FaultOutcome::kBusError;
          object_page_ = *page;
          break;
        }
        case Attempt::kMoving:
          gather_.finish();
          memory_.wait_for_moves(seen_moves_);
          break;
        case Attempt::kNeedsFlush:
          gather_.flush_range(VirtRange(page_, ByteCount(kPageSize)), FlushRequest::Depth::kTablesToo);
          gather_.finish();
          break;
      }
    }
  }

 private:
  enum class Attempt : std::uint8_t {
    kDone, kRetry, kBusError, kNeedsTable, kNeedsPage, kNeedsAttachments, kNeedsAnonObject, kNeedsObjectPage, kNeedsFlush, kMoving
  };

  // Goes on from the table reached by the attempt before: with the space's lock held, an exclusive path stays one.
  Attempt try_once() {
    ExclusiveTable& table = table_;
    for (;;) {
      const Entry entry = descend();
      if (table.level() == kLeafLevel) return fill_leaf(table, entry);
      const Slot slot = geometry_.slot_of(page_, table.level());
      switch (memory_.kind_of(entry, table.level())) {
        case EntryKind::kAbsent: {
          const Attempt attempt = fill_upper(table, slot);
          if (attempt != Attempt::kRetry) return attempt;
          break;
        }
        case EntryKind::kZeroTable:
          if (access_ != Access::kWrite && (access_ != Access::kExecute || entry.executable())) return spurious();
          [[fallthrough]];
        case EntryKind::kTable: {
          if (access_ != Access::kWrite) {
            const Below below = look_below(table, slot, entry);
            if (below == Below::kResolved) return spurious();
            if (below == Below::kMoving) return Attempt::kMoving;
          }
          const Attempt attempt = unshare(table, slot);
          if (attempt != Attempt::kRetry) return attempt;
          break;
        }
        case EntryKind::kFrame:
        case EntryKind::kZeroFrame:
        case EntryKind::kRaw:
        case EntryKind::kSwap:
        case EntryKind::kMigration:
        case EntryKind::kPoison:
        case EntryKind::kMarker:
          return Attempt::kBusError;
        case EntryKind::kMalformed:
          if (!is_malformed(table, slot)) break;
          memory_.report_malformed(entry, table.level(), "a fault");
          return Attempt::kBusError;  // contained, never followed (S0.22)
      }
    }
  }

  // Walks down writable upper entries without locks. Returns the first entry that is not, or the leaf.
  Entry descend() {
    ExclusiveTable table = table_;
    for (;;) {
      const Entry entry = table.entry(geometry_.slot_of(page_, table.level()));
      if (table.level() == kLeafLevel || !entry.writable() || !memory_.is_table(entry.pfn(), table.level().below())) {
        table_ = table;
        return entry;
      }
      table = ExclusivePath::child(memory_, table, entry);
    }
  }

  // Looks again under the table's lock: the table an entry named a moment ago may be replaced by a sibling and freed by now (R3, R25).
  bool is_malformed(const ExclusiveTable& table, Slot slot) {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    return memory_.kind_of(table.entry(slot), table.level()) == EntryKind::kMalformed;
  }

  Attempt spurious() {
    memory_.counters().add(Counter::kFaultSpurious);
    return Attempt::kDone;
  }

  enum class Below : std::uint8_t { kResolved, kMoving, kLacking };

  // Whether the subtree under a shared entry already serves the access, or will when a page has moved. Nothing in it can go while the table
  // that names it is locked: our share keeps it, and a table with share above 1 changes for nobody (I2).
  Below look_below(const ExclusiveTable& table, Slot slot, Entry seen) {
    seen_moves_ = memory_.moves_of_pages();
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Below::kLacking;
    const auto serves = [this](Entry entry) { return access_ == Access::kRead || entry.executable() ? Below::kResolved : Below::kLacking; };
    Entry entry = seen;
    Level level = table.level();
    while (level != kLeafLevel) {
      const EntryKind kind = memory_.kind_of(entry, level);
      if (kind == EntryKind::kZeroTable) return serves(entry);
      if (kind != EntryKind::kTable) return Below::kLacking;
      level = level.below();
      entry = TableView(memory_, memory_.frame(entry.pfn())).entry(geometry_.slot_of(page_, level));
    }
    if (memory_.kind_of(entry, kLeafLevel) == EntryKind::kMigration) return Below::kMoving;
    return entry.present() ? serves(entry) : Below::kLacking;
  }

  Attempt unshare(ExclusiveTable& table, Slot slot) {
    using State = ExclusivePath::Unshared::State;
    auto result = ExclusivePath::unshare(space_, table, slot, geometry_.entry_range(page_, table.level()), tables_, attachments_, gather_,
                                         Counter::kUnshareFault);
    switch (result.state) {
      case State::kExclusive:
        table = *result.child;
        return Attempt::kRetry;
      case State::kNeedsFrame: return Attempt::kNeedsTable;
      case State::kNeedsAttachments:
        wanted_attachments_ = result.attachments;
        return Attempt::kNeedsAttachments;
      case State::kChanged: return Attempt::kRetry;
    }
    return Attempt::kRetry;
  }

  [[nodiscard]] bool may_map_zero() const { return vma_.object == nullptr && access_ != Access::kWrite && memory_.config().zero_page; }

  // An absent upper entry: a zero table if the mapping covers its whole span (X5), else a new table.
  Attempt fill_upper(ExclusiveTable& table, Slot slot) {
    const VirtRange span = geometry_.entry_range(page_, table.level());
    const bool zero_table = may_map_zero() && vma_.range.contains(span) && !vma_.flags.has(VmaFlag::kLocked);
    if (!zero_table && tables_.held() == 0) return Attempt::kNeedsTable;
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (!table.entry(slot).is_absent()) return Attempt::kRetry;
    if (zero_table) {
      table.install(slot, Entry::zero_table(zero_.table(table.level().below()), vma_.prot));
      memory_.counters().add(Counter::kShareZero);
      return Attempt::kDone;
    }
    NewTable fresh(memory_, *tables_.take(), table.level().below());
    const Entry entry = Entry::table(memory_.pfn_of(fresh.frame()), Writable::kYes);
    table.install(slot, entry);
    space_.tables_.fetch_add(1);
    table = ExclusivePath::child(memory_, table, entry);
    return Attempt::kRetry;
  }

  Attempt fill_leaf(ExclusiveTable& table, Entry entry) {
    const Slot slot = geometry_.slot_of(page_, kLeafLevel);
    switch (memory_.kind_of(entry, kLeafLevel)) {
      case EntryKind::kAbsent:
        if (vma_.object != nullptr) return map_object_page(table, slot);
        return may_map_zero() ? map_zero(table, slot) : map_private_page(table, slot, entry);
      case EntryKind::kZeroFrame:
        return access_ == Access::kWrite ? map_private_page(table, slot, entry) : restore_rights(table, slot, entry);
      case EntryKind::kFrame:
        if (access_ != Access::kWrite) return restore_rights(table, slot, entry);
        if (entry.writable()) return spurious();
        return entry.is_private_leaf() ? write_private(table, slot, entry) : restore_rights(table, slot, entry);
      case EntryKind::kRaw: return restore_rights(table, slot, entry);
      case EntryKind::kMigration: return await_move(table, slot, entry);
      case EntryKind::kSwap:
      case EntryKind::kPoison:
      case EntryKind::kMalformed:
      case EntryKind::kMarker:
      case EntryKind::kTable:
      case EntryKind::kZeroTable: return Attempt::kBusError;
    }
    return Attempt::kBusError;
  }

  // The page is being moved: nothing to do but wait, unless that is over by now. The number of moves is read before the entry is looked at
  // again; a move counts after its last entry is back.
  Attempt await_move(const TableView& table, Slot slot, Entry seen) {
    seen_moves_ = memory_.moves_of_pages();
    {
      const SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
      if (table.entry(slot) != seen) return Attempt::kRetry;
    }
    return Attempt::kMoving;
  }

  Attempt map_zero(ExclusiveTable& table, Slot slot) {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (!table.entry(slot).is_absent()) return Attempt::kRetry;  // S3.15: occupied is success, found out anew
    table.install(slot, Entry::leaf(zero_.frame(), LeafClass::kNone, vma_.prot, Writable::kNo));
    memory_.counters().add(Counter::kZeroMap);
    return Attempt::kDone;
  }

  // A fresh private page of zeros, in an absent slot or in place of the zero frame.
  Attempt map_private_page(ExclusiveTable& table, Slot slot, Entry seen) {
    if (const Attempt lacking = need_private_page(table, true); lacking != Attempt::kDone) return lacking;
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;
    if (!has_attachment(table, slot)) return Attempt::kNeedsAttachments;
    const bool replaces = !seen.is_absent();
    put_private_page(table, slot, replaces);
    if (replaces) memory_.counters().add(Counter::kZeroToFrame);
    space_.add_rss(LeafClass::kAnon, 1);
    return Attempt::kDone;
  }

  // A write to a private page that is not writable: ours alone now, or shared with others.
  Attempt write_private(ExclusiveTable& table, Slot slot, Entry seen) {
    Frame& old = memory_.frame(seen.pfn());
    if (!old.has_one_holder()) {
      if (const Attempt lacking = need_private_page(table, false); lacking != Attempt::kDone) return lacking;
    }
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;
    if (old.has_one_holder()) {
      // I5: one leaf entry, no other hold, and the path is exclusive. W may not overtake a sibling's flush of this page.
      if (space_.replacing_.load() != (replacing_ ? 1U : 0U) && flushed_for_ != seen) {
        flushed_for_ = seen;
        return Attempt::kNeedsFlush;
      }
      if (!table.replace_if(slot, seen, seen.with_prot(vma_.prot, Writable::kYes))) return Attempt::kRetry;
      memory_.counters().add(Counter::kCowReuse);
      return Attempt::kDone;
    }
    if (data_.held() == 0 || anon_ == nullptr) return Attempt::kRetry;
    if (!has_attachment(table, slot)) return Attempt::kNeedsAttachments;
    // Our entry keeps `old` alive, and as it is named more than once nobody may write it: the copy is of one instant (S4.25).
    memory_.copy_data(data_.first(), old);
    put_private_page(table, slot, true);
    drop_attached_entry(memory_, table.frame(), old, slot);
    gather_.drop_frame(old, page_);
    memory_.counters().add(Counter::kCowCopy);
    return Attempt::kDone;
  }

  Attempt need_private_page(ExclusiveTable& table, bool cleared) {
    if (anon_ == nullptr) anon_ = space_.anon_object_.load();
    if (anon_ == nullptr) return Attempt::kNeedsAnonObject;
    wants_clear_ = cleared;
    if (data_.held() == 0 || (cleared && !is_clear_)) return Attempt::kNeedsPage;
    (void)table;
    return Attempt::kDone;
  }

  // Whether the attachment for our new page exists or is reserved. Locks: the table's.
  bool has_attachment(ExclusiveTable& table, Slot slot) {
    if (attachments_.held() != 0) return true;
    const MemoryObject& object = object_page_ != nullptr ? *vma_.object : *anon_;
    const PageIndex index = object_page_ != nullptr ? vma_.index_of(page_) : page_index(page_);
    wanted_attachments_ = 1;
    return find_attachment(table.frame(), object, static_cast<std::int64_t>(index.raw()) - slot) != nullptr;
  }

  // Locks: the table's.
  void put_private_page(ExclusiveTable& table, Slot slot, bool replaces) {
    Frame& fresh = *data_.take();
    is_clear_ = false;
    const PageIndex index = page_index(page_);
    fresh.page = Frame::Page{anon_, index.raw()};
    fresh.kind = FrameKind::kAnon;
    fresh.counts.store(Frame::kOneLeaf);  // last of all, for those who come by the frame (S4.22)
    add_attached_entry(table.frame(), *anon_, static_cast<std::int64_t>(index.raw()) - slot, attachments_);
    const Entry entry = Entry::leaf(memory_.pfn_of(fresh), LeafClass::kAnon, vma_.prot, access_ == Access::kWrite ? Writable::kYes : Writable::kNo);
    if (!replaces) {
      table.install(slot, entry);
      return;
    }
    gather_.flush_range(VirtRange(page_, ByteCount(kPageSize)), FlushRequest::Depth::kTablesToo);
    if (only_actor_) {
      table.replace(slot, entry);
      return;
    }
    // Read-only until everybody has forgotten the old frame; finish_leaf() does the rest.
    space_.replacing_.fetch_add(1);
    replacing_ = true;
    leaf_entry_ = entry.without_write();
    table.replace(slot, leaf_entry_);
  }

  // Shared memory: the object's page, the same for all who map it (S0.14, S4.38).
  Attempt map_object_page(ExclusiveTable& table, Slot slot) {
    if (object_page_ == nullptr) return Attempt::kNeedsObjectPage;
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (!table.entry(slot).is_absent()) return Attempt::kRetry;
    if (!has_attachment(table, slot)) return Attempt::kNeedsAttachments;
    const LeafClass leaf_class = vma_.object->leaf_class();
    object_page_->add_leaf();
    add_attached_entry(table.frame(), *vma_.object, static_cast<std::int64_t>(vma_.index_of(page_).raw()) - slot, attachments_);
    if (object_page_->has_flag(Frame::kPoisoned)) {
      // It failed since we got it. Who takes its entries away has set the flag first, and finds this table from now on (rmap/poison.h).
      drop_attached_entry(memory_, table.frame(), *object_page_, slot);
      static_cast<void>(object_page_->drop_leaf());
      return Attempt::kBusError;
    }
    table.install(slot, Entry::leaf(memory_.pfn_of(*object_page_), leaf_class, vma_.prot, vma_.is_shared() ? Writable::kYes : Writable::kNo));
    space_.add_rss(leaf_class, 1);
    return Attempt::kDone;
  }

  // The mapping allows more than the entry: rights are given lazily, so that mprotect that only adds touches no table.
  Attempt restore_rights(ExclusiveTable& table, Slot slot, Entry seen) {
    const bool enough = seen.present() && (access_ != Access::kExecute || seen.executable()) && (access_ != Access::kWrite || seen.writable());
    if (enough) return spurious();
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    const bool keeps_write = seen.writable() || (vma_.is_shared() && !seen.is_private_leaf());
    const bool zero = memory_.kind_of(seen, kLeafLevel) == EntryKind::kZeroFrame;
    const Entry fresh = seen.with_prot(vma_.prot, keeps_write && !zero ? Writable::kYes : Writable::kNo);
    return table.replace_if(slot, seen, fresh) ? Attempt::kDone : Attempt::kRetry;
  }

  // After the flush: the new leaf may be written, if it is still there.
  void finish_leaf() {
    {
      const Slot slot = geometry_.slot_of(page_, kLeafLevel);
      SpinGuard guard(table_.lock(), LockRank::kTable, table_.lock_key());
      const Entry entry = table_.entry(slot);
      if (entry.present() && entry.pfn() == leaf_entry_.pfn() && vma_.prot.write()) table_.allow_write(slot, zero_);
    }
    end_replacement();
  }

  void end_replacement() {
    gather_.finish();
    space_.replacing_.fetch_sub(1);
    replacing_ = false;
  }

  AddressSpace& space_;
  MemoryManager& memory_;
  const Geometry& geometry_;
  const ZeroObjects& zero_;
  const Vma vma_;
  const VirtAddr page_;
  const Access access_;
  const bool only_actor_;
  FrameReservation tables_, data_;
  AttachmentReservation attachments_;
  std::uint32_t wanted_attachments_ = 0;
  bool wants_clear_ = false, is_clear_ = false;
  AnonObject* anon_ = nullptr;
  Frame* object_page_ = nullptr;
  bool replacing_ = false;
  ExclusiveTable table_;
  Entry leaf_entry_, flushed_for_;
  std::uint32_t seen_moves_ = 0;
  Gather gather_;
};

FaultOutcome AddressSpace::fault(VirtAddr address, Access access) { return resolve_fault(address, access, Requester::kActor); }

FaultOutcome AddressSpace::resolve_fault(VirtAddr address, Access access, Requester requester, Purpose purpose) {
  for (;;) {
    bool is_mapped = false;
    {
      SharedGuard guard(lock_);
      if (const Vma* vma = map_.find(address); vma != nullptr) {
        const bool own_page = purpose == Purpose::kOwnPage;
        if (!own_page && !vma->prot.allows(access)) return FaultOutcome::kAccessError;
        // A page of one's own comes about as for a write; that the entry allows one is up to the mapping.
        const Access what = own_page ? Access::kWrite : access;
        const bool wants_tag = what == Access::kWrite && vma->object == nullptr && vma->anon.is_none();
        if (!wants_tag || map_.try_tag(address) == VmaMap::Tagged::kDone) {
          FaultResolver resolver(*this, *vma, address, what, is_only_actor(requester));
          const FaultOutcome outcome = resolver.run();
          if (outcome == FaultOutcome::kMinor) memory_.counters().add(Counter::kFaultMinor);
          return outcome;
        }
        is_mapped = true;
      }
    }
    if (is_mapped) {
      if (!tag(address)) return FaultOutcome::kOutOfMemory;
      continue;
    }
    switch (grow_stack(address)) {
      case StackGrowth::kGrown: break;
      case StackGrowth::kNotAStack:
      case StackGrowth::kRefused: return FaultOutcome::kMapError;
      case StackGrowth::kOutOfMemory: return FaultOutcome::kOutOfMemory;
    }
  }
}

// Linux v6.12 mm/vma.c:expand_downwards(), mm/mmap.c:acct_stack_growth().
AddressSpace::StackGrowth AddressSpace::grow_stack(VirtAddr address) {
  ExclusiveGuard guard(lock_);
  const Vma* above = map_.first_ending_above(address);
  if (above == nullptr) return StackGrowth::kNotAStack;
  if (above->range.begin() <= address) return StackGrowth::kGrown;  // a sibling was faster
  if (!above->flags.has(VmaFlag::kGrowsDown)) return StackGrowth::kNotAStack;
  const VirtAddr begin = address.page_floor();
  if (begin < mmap_floor_) return StackGrowth::kRefused;
  const Vma* before = map_.last_beginning_below(begin);
  if (before != nullptr && !before->flags.has(VmaFlag::kGrowsDown) && before->prot.bits() != 0 &&
      begin - before->range.end() < kStackGuardGap.bytes()) {
    return StackGrowth::kRefused;
  }
  const PageCount growth = pages_of(above->range.begin() - begin);
  if (above->range.end() - begin > limits_.stack || !may_lock(growth, above->flags) || !may_expand(growth, above->prot, above->flags)) return StackGrowth::kRefused;
  Vma grown = *above;
  grown.range = VirtRange(begin, above->range.end());
  grown.offset = PageIndex(above->offset.raw() - growth.raw());
  if (grown.anon.is_none()) grown.anon = map_.tag_for(*above);
  VmaMap changed = map_;
  if (!changed.replace(above->range.begin(), grown)) return StackGrowth::kOutOfMemory;
  commit_map(std::move(changed), grown.range);
  return StackGrowth::kGrown;
}

// Concurrent first faults agree on one object (S4.19).
Result<AnonObject*> AddressSpace::anon_object() {
  if (AnonObject* object = anon_object_.load(); object != nullptr) return object;
  AnonObject* fresh = memory_.anon_objects().make_or_null(memory_);
  if (fresh == nullptr) return fail(Errno::kNoMem);
  AnonObject* none = nullptr;
  if (anon_object_.compare_exchange(none, fresh)) return fresh;
  fresh->drop_user();
  return none;
}

}  // namespace quire
