// One fault being resolved: the class behind fault.cc, fault_object.cc, fault_asking.cc and fault_huge.cc, which begin with how.
#pragma once

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/object/huge_object.h"
#include "quire/space/address_space.h"
#include "quire/space/fault_supplies.h"
#include "quire/table/lent.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

/// One fault being resolved.
class FaultResolver {
 public:
  /// Pre: `vma` stays as it is meanwhile: the space's lock is held.
  FaultResolver(AddressSpace& space, const Vma& vma, VirtAddr address, Access access, AddressSpace::Requester requester)
      : space_(space),
        memory_(space.memory_),
        vma_(vma),
        address_(address),
        page_(address.page_floor()),
        access_(access),
        requester_(requester),
        table_(ExclusivePath::root(space)) {}
  FaultResolver(const FaultResolver&) = delete;
  FaultResolver& operator=(const FaultResolver&) = delete;

  ~FaultResolver() {
    if (data_ != nullptr) memory_.pool().give(data_);
  }

  [[gnu::always_inline]] FaultOutcome run() {
    const Entry entry = descend();
    if (table_.level() == kLeafLevel && fill_leaf(table_, entry) == Attempt::kDone) return FaultOutcome::kMinor;
    return run_supplied();
  }
  /// If that gave kInterrupted: what the mapping's handler is to be asked.
  [[nodiscard]] AskedFault asked() const { return {reason_, access_, address_, seen_changes_}; }

  /// Puts the page `contents` (null: zeros), or the one that the object has by now, where there is none, in place of resolving a fault, for
  /// which the access is a write. Takes `contents`. Errors: EEXIST, ENOMEM.
  Result<void> supply(Frame* contents, Guarded guarded);

 private:
  enum class Attempt : std::uint8_t {
    kDone, kRetry, kBusError, kOutOfMemory, kNeedsSupplies, kNeedsTable, kNeedsAttachments, kNeedsAnonObject, kNeedsObjectPage,
    kNeedsFlush, kMoving, kNotLent, kAsks, kOccupied
  };

  using Supplies = FaultSupplies;

  [[gnu::noinline]] FaultOutcome run_supplied() {
    Supplies supplies(space_);
    supplies_ = &supplies;
    const FaultOutcome outcome = vma_.is_huge() ? run_huge(supplies) : run_with(supplies);
    supplies_ = nullptr;
    return outcome;
  }

  FaultOutcome run_with(Supplies& supplies) {
    for (;;) {
      if (vma_.handler != nullptr) seen_changes_ = vma_.handler->changes();
      switch (try_once()) {
        case Attempt::kDone:
          supplies.gather.finish();
          if (supplies.replacing) finish_leaf();
          if (!supplies.was_read) return FaultOutcome::kMinor;
          memory_.counters().add(Counter::kFaultMajor);
          return FaultOutcome::kMajor;
        case Attempt::kBusError: return FaultOutcome::kBusError;
        case Attempt::kOutOfMemory: return FaultOutcome::kOutOfMemory;
        case Attempt::kAsks: return FaultOutcome::kInterrupted;
        case Attempt::kOccupied:
          is_occupied_ = true;
          return FaultOutcome::kMinor;
        case Attempt::kRetry:
        case Attempt::kNotLent:
        case Attempt::kNeedsSupplies: break;
        case Attempt::kNeedsTable:
          if (!supplies.tables.ensure(1, FrameUse::kUser)) return FaultOutcome::kOutOfMemory;
          break;
        case Attempt::kNeedsAttachments:
          if (!supplies.attachments.ensure(supplies.wanted_attachments)) return FaultOutcome::kOutOfMemory;
          break;
        case Attempt::kNeedsAnonObject: {
          if (!space_.anon_object()) return FaultOutcome::kOutOfMemory;
          break;
        }
        case Attempt::kNeedsObjectPage: {
          const std::uint32_t moves = memory_.moves_of_pages();
          auto page = object_page();
          if (!page && page.error() == Errno::kAgain) {
            memory_.wait_for_moves(moves);
            break;
          }
          if (!page) return page.error() == Errno::kNoMem ? FaultOutcome::kOutOfMemory : FaultOutcome::kBusError;
          if (page->frame == nullptr) {
            static_cast<void>(asks_for(AskedFault::Reason::kMissing));
            return FaultOutcome::kInterrupted;
          }
          supplies.object_page = page->frame;
          supplies.was_read = supplies.was_read || page->was_read;
          if (!vma_.is_huge()) hold_around(supplies);
          break;
        }
        case Attempt::kMoving:
          supplies.gather.finish();
          memory_.wait_for_moves(supplies.seen_moves);
          break;
        case Attempt::kNeedsFlush:
          supplies.gather.flush_range(leaf_span(), FlushRequest::Depth::kTablesToo);
          supplies.gather.finish();
          break;
      }
    }
  }

  // Goes on from the table reached by the attempt before: with the space's lock held, an exclusive path stays one.
  Attempt try_once() {
    ExclusiveTable& table = table_;
    for (;;) {
      const Entry entry = descend();
      if (table.level() == kLeafLevel) return supplying_ ? supply_leaf(table, entry) : fill_leaf(table, entry);
      const Slot slot = geometry().slot_of(page_, table.level());
      switch (memory_.kind_of(entry, table.level())) {
        case EntryKind::kAbsent: {
          if (vma_.is_huge() && table.level() == vma_.leaf_level()) return fill_huge(table, slot, entry);
          if (asks_when_absent()) return asks_for(AskedFault::Reason::kMissing);
          const Attempt attempt = fill_upper(table, slot);
          if (attempt != Attempt::kRetry) return attempt;
          break;
        }
        case EntryKind::kZeroTable:
          if (access_ != Access::kWrite && (access_ != Access::kExecute || entry.executable())) return spurious();
          [[fallthrough]];
        case EntryKind::kTable: {
          if (may_be_lent()) {
            const Attempt attempt = use_lent(table, slot, entry);
            if (attempt == Attempt::kRetry) break;
            if (attempt != Attempt::kNotLent) return attempt;
          }
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
          return vma_.is_huge() ? fill_huge(table, slot, entry) : Attempt::kBusError;
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
  [[gnu::always_inline]] Entry descend() {
    const MemoryManager& memory = memory_;
    ExclusiveTable table = table_;
    for (;;) {
      const Entry entry = table.entry(memory.geometry().slot_of(page_, table.level()));
      if (table.level() == kLeafLevel || !entry.writable() || !memory.is_own_table(entry.pfn(), table.level().below())) {
        table_ = table;
        return entry;
      }
      table = ExclusivePath::child(memory, table, entry);
    }
  }

  // Looks again under the table's lock: the table an entry named a moment ago may be replaced by a sibling and freed by now (R3, R25).
  bool is_malformed(const ExclusiveTable& table, Slot slot) {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    return memory_.kind_of(table.entry(slot), table.level()) == EntryKind::kMalformed;
  }

  // Resolved, by what `how` counts. Both counters in one go.
  [[gnu::always_inline]] Attempt done(Counter how) {
    memory_.counters().add(Counter::kFaultMinor, how);
    return Attempt::kDone;
  }
  [[gnu::always_inline]] Attempt done() {
    memory_.counters().add(Counter::kFaultMinor);
    return Attempt::kDone;
  }

  Attempt spurious() { return done(Counter::kFaultSpurious); }

  enum class Below : std::uint8_t { kResolved, kMoving, kLacking };

  // Whether the subtree under a shared entry already serves the access, or will when a page has moved. Nothing in it can go while the table
  // that names it is locked: our share keeps it, and a table with share above 1 changes for nobody (I2).
  Below look_below(const ExclusiveTable& table, Slot slot, Entry seen) {
    supplies_->seen_moves = memory_.moves_of_pages();
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Below::kLacking;
    const auto serves = [this](Entry entry) { return access_ == Access::kRead || entry.executable() ? Below::kResolved : Below::kLacking; };
    Entry entry = seen;
    Level level = table.level();
    while (level != kLeafLevel) {
      const EntryKind kind = memory_.kind_of(entry, level);
      if (kind == EntryKind::kZeroTable) return serves(entry);
      if (kind == EntryKind::kFrame && entry.present()) return serves(entry);
      if (kind != EntryKind::kTable) return Below::kLacking;
      level = level.below();
      entry = TableView(memory_, memory_.frame(entry.pfn())).entry(geometry().slot_of(page_, level));
    }
    if (memory_.kind_of(entry, kLeafLevel) == EntryKind::kMigration) return Below::kMoving;
    return entry.present() ? serves(entry) : Below::kLacking;
  }

  Attempt unshare(ExclusiveTable& table, Slot slot) {
    using State = ExclusivePath::Unshared::State;
    auto result = ExclusivePath::unshare(space_, table, slot, geometry().entry_range(page_, table.level()), supplies_->tables,
                                         supplies_->attachments, supplies_->gather, Counter::kUnshareFault);
    switch (result.state) {
      case State::kExclusive:
        table = *result.child;
        return Attempt::kRetry;
      case State::kNeedsFrame: return Attempt::kNeedsTable;
      case State::kNeedsAttachments:
        supplies_->wanted_attachments = result.attachments;
        return Attempt::kNeedsAttachments;
      case State::kChanged: return Attempt::kRetry;
    }
    return Attempt::kRetry;
  }

  [[nodiscard]] bool may_map_zero() const { return vma_.object == nullptr && access_ != Access::kWrite && memory_.config().zero_page; }

  // An absent upper entry: a zero table if the mapping covers its whole span (X5), else a new table.
  Attempt fill_upper(ExclusiveTable& table, Slot slot) {
    const VirtRange span = geometry().entry_range(page_, table.level());
    if (may_be_lent() && space_.borrows()) {
      if (const auto key = lent_key(geometry(), vma_, span, table.level().below()); key) return borrow(table, slot, *key);
    }
    const bool zero_table = may_map_zero() && vma_.range.contains(span) && !vma_.flags.has(VmaFlag::kLocked);
    if (!zero_table && supplies_->tables.held() == 0) return Attempt::kNeedsTable;
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (!table.entry(slot).is_absent()) return Attempt::kRetry;
    if (zero_table) {
      table.install(slot, Entry::zero_table(memory_.zero().table(table.level().below()), vma_.prot));
      return done(Counter::kShareZero);
    }
    NewTable fresh(memory_, *supplies_->tables.take(), table.level().below());
    const Entry entry = Entry::table(memory_.pfn_of(fresh.frame()), Writable::kYes);
    table.install(slot, entry);
    space_.tables_.fetch_add(1);
    table = ExclusivePath::child(memory_, table, entry);
    return Attempt::kRetry;
  }

  [[gnu::always_inline]] Attempt fill_leaf(ExclusiveTable& table, Entry entry) {
    const Slot slot = geometry().leaf_slot_of(page_);
    switch (memory_.kind_of(entry, kLeafLevel)) {
      case EntryKind::kAbsent:
        if (asks_when_absent()) [[unlikely]] return ask(AskedFault::Reason::kMissing);
        if (vma_.object != nullptr) return wants_copy() ? copy_object_page(table, slot) : map_object_page(table, slot, entry);
        return may_map_zero() ? map_zero(table, slot, entry) : map_private_page(table, slot, entry);
      case EntryKind::kMarker: return fill_marked(table, slot, entry);
      case EntryKind::kZeroFrame:
        if (access_ != Access::kWrite) return restore_rights(table, slot, entry);
        if (entry.is_guarded()) [[unlikely]] return write_guarded(table, slot, entry);
        return map_private_page(table, slot, entry);
      case EntryKind::kFrame:
        if (access_ != Access::kWrite) return restore_rights(table, slot, entry);
        if (entry.writable()) return spurious();
        if (entry.is_guarded()) [[unlikely]] return write_guarded(table, slot, entry);
        if (!entry.is_private_leaf()) return vma_.is_shared() ? restore_rights(table, slot, entry) : copy_mapped_page(table, slot, entry);
        return memory_.frame(entry.pfn()).has_one_holder() ? reuse_page(table, slot, entry) : copy_page(table, slot, entry);
      case EntryKind::kRaw: return restore_rights(table, slot, entry);
      case EntryKind::kMigration: return await_move(table, slot, entry);
      case EntryKind::kSwap:
      case EntryKind::kPoison:
      case EntryKind::kMalformed:
      case EntryKind::kTable:
      case EntryKind::kZeroTable: return Attempt::kBusError;
    }
    return Attempt::kBusError;
  }

  // Faults that the mapping's handler has a say in, and what it gives (fault_asking.cc).
  [[nodiscard]] bool asks_when_absent() const {
    return vma_.handler != nullptr && vma_.object == nullptr && !supplying_ && vma_.asks(VmaFlag::kAsksMissing);
  }
  // To be asked about with changes() as it was before the entry was looked at: not in the first attempt.
  Attempt ask(AskedFault::Reason reason) { return supplies_ == nullptr ? Attempt::kNeedsSupplies : asks_for(reason); }
  Attempt asks_for(AskedFault::Reason reason) {
    reason_ = reason;
    return Attempt::kAsks;
  }
  Attempt fill_marked(ExclusiveTable& table, Slot slot, Entry seen);
  Attempt write_guarded(ExclusiveTable& table, Slot slot, Entry seen);
  Attempt supply_leaf(ExclusiveTable& table, Entry seen);
  Result<ObjectPage> object_page();
  // The entry as it takes the place of `seen`: guarded if that is a marker, or as it is supplied.
  [[nodiscard]] Entry in_place_of(Entry seen, Entry fresh) const {
    if (vma_.handler == nullptr) [[likely]] return fresh;
    const bool is_guarded = supplying_ ? guards_ : seen.is_guarded() && vma_.asks(VmaFlag::kAsksGuarded);
    return is_guarded ? fresh.with_guard() : fresh;
  }

  // The page is being moved: nothing to do but wait, unless that is over by now. The number of moves is read before the entry is looked at
  // again; a move counts after its last entry is back.
  [[gnu::noinline]] Attempt await_move(const TableView& table, Slot slot, Entry seen) {
    if (supplies_ == nullptr) return Attempt::kNeedsSupplies;
    supplies_->seen_moves = memory_.moves_of_pages();
    {
      const SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
      if (table.entry(slot) != seen) return Attempt::kRetry;
    }
    return Attempt::kMoving;
  }

  [[gnu::always_inline]] Attempt map_zero(ExclusiveTable& table, Slot slot, Entry seen) {
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;  // S3.15: occupied is success, found out anew
    table.fill(slot, seen, in_place_of(seen, Entry::leaf(memory_.zero().frame(), LeafClass::kNone, vma_.prot, Writable::kNo)));
    return done(Counter::kZeroMap);
  }

  // A fresh private page of zeros, in an absent slot or in place of the zero frame.
  [[gnu::noinline]] Attempt map_private_page(ExclusiveTable& table, Slot slot, Entry seen) {
    const bool replaces = !seen.is_absent();
    if (replaces && supplies_ == nullptr) return Attempt::kNeedsSupplies;
    if (const Attempt lacking = need_private_page(Contents::kZeros); lacking != Attempt::kDone) return lacking;
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;
    Attachment* const attachment = attachment_for(table, slot, *space_.anon_object_.load(), page_index(page_));
    if (attachment == nullptr) return Attempt::kNeedsAttachments;
    ++attachment->entries;
    put_private_page(table, slot, own_page(nullptr, 0), seen);
    space_.add_rss(LeafClass::kAnon, 1);
    return replaces ? done(Counter::kZeroToFrame) : done();
  }

  // A write to a private page that is not writable and was ours alone a moment ago.
  [[gnu::always_inline]] Attempt reuse_page(ExclusiveTable& table, Slot slot, Entry seen) {
    Frame& page = memory_.frame(seen.pfn());
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen || !page.has_one_holder()) return Attempt::kRetry;
    // I5: one leaf entry, no other hold, and the path is exclusive. W may not overtake a sibling's flush of this page.
    if (space_.replacing_.load() != 0) [[unlikely]] {
      if (supplies_ == nullptr) return Attempt::kNeedsSupplies;
      if (supplies_->flushed_for != seen) {
        supplies_->flushed_for = seen;
        return Attempt::kNeedsFlush;
      }
    }
    if (!table.change_rights(slot, seen, seen.with_prot(vma_.prot, Writable::kYes))) return Attempt::kRetry;
    return done(Counter::kCowReuse);
  }

  // A write to a private page that others hold, too.
  [[gnu::noinline]] Attempt copy_page(ExclusiveTable& table, Slot slot, Entry seen) {
    if (supplies_ == nullptr) return Attempt::kNeedsSupplies;
    if (const Attempt lacking = need_private_page(Contents::kAny); lacking != Attempt::kDone) return lacking;
    Frame& old = memory_.frame(seen.pfn());
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen || old.has_one_holder()) return Attempt::kRetry;
    const Frame::Page identity = own_page(old.page.source, old.page.source_index);
    // Where the space made the page itself, before a fork, the copy counts in the same attachments.
    const bool attaches = identity != old.page;
    if (attaches && !has_attachments(table, slot, identity)) return Attempt::kNeedsAttachments;
    // Our entry keeps `old` alive, and as it is named more than once nobody may write it: the copy is of one instant (S4.25).
    memory_.copy_data(*data_, old);
    if (attaches) add_attached_page(table.frame(), identity, slot, supplies_->attachments);
    put_private_page(table, slot, identity, seen);
    if (attaches) drop_attached_page(memory_, table.frame(), old, slot);
    supplies_->gather.drop_frame(old, VirtRange(page_, ByteCount(kPageSize)));
    return done(Counter::kCowCopy);
  }

  enum class Contents : bool { kAny, kZeros };

  // A frame and an object for a private page. Locks: no table's.
  Attempt need_private_page(Contents contents) {
    if (space_.anon_object_.load() == nullptr) return Attempt::kNeedsAnonObject;
    if (data_ == nullptr) data_ = memory_.pool().take_or_null(FrameUse::kUser);
    if (data_ == nullptr) return Attempt::kOutOfMemory;
    if (contents == Contents::kZeros && !is_clear_) {
      memory_.clear_data(*data_);
      is_clear_ = true;
    }
    return Attempt::kDone;
  }

  // The attachment that a new entry at `slot` for the object's page `index` belongs to, made if one is reserved; or null. The caller adds
  // the entry. Locks: the table's.
  Attachment* attachment_for(ExclusiveTable& table, Slot slot, MemoryObject& object, PageIndex index) {
    const std::int64_t first_index = static_cast<std::int64_t>(index.raw()) - slot;
    if (Attachment* found = find_attachment(table.frame(), object, first_index); found != nullptr) return found;
    if (supplies_ == nullptr) return nullptr;
    supplies_->wanted_attachments = 1;
    if (supplies_->attachments.held() == 0) return nullptr;
    return &make_attachment(table.frame(), object, first_index, supplies_->attachments);
  }

  // Whether the attachments of a new entry for `page` at `slot` are there or reserved. Locks: the table's.
  bool has_attachments(ExclusiveTable& table, Slot slot, const Frame::Page& page) {
    supplies_->wanted_attachments = lacking_attachments(table.frame(), page, slot);
    return supplies_->attachments.held() >= supplies_->wanted_attachments;
  }

  // What a private page made now is: the space's own, and perhaps a copy of an object's page.
  [[nodiscard]] Frame::Page own_page(MemoryObject* source, std::uint64_t source_index) const {
    return {space_.anon_object_.load(), page_index(page_).raw(), source, source_index};
  }

  enum class PageSize : bool { kSmall, kHuge };

  // The entry is attached already. Locks: the table's.
  template <PageSize kSize = PageSize::kSmall>
  void put_private_page(ExclusiveTable& table, Slot slot, const Frame::Page& identity, Entry seen) {
    Frame& fresh = *data_;
    data_ = nullptr;
    fresh.page = identity;
    fresh.kind = FrameKind::kAnon;
    if constexpr (kSize == PageSize::kHuge) fresh.flags = Frame::kLarge;
    fresh.counts.store(Frame::kOneLeaf);  // last of all, for those who come by the frame (S4.22)
    const Writable writable = access_ == Access::kWrite ? Writable::kYes : Writable::kNo;
    const Entry leaf = kSize == PageSize::kHuge ? Entry::large_leaf(memory_.pfn_of(fresh), LeafClass::kAnon, vma_.prot, writable)
                                                : Entry::leaf(memory_.pfn_of(fresh), LeafClass::kAnon, vma_.prot, writable);
    Entry entry = in_place_of(seen, leaf);
    if (access_ == Access::kWrite) entry = entry.with_soft_dirty();  // whatever the mapping allows the program
    if (seen.is_absent()) {
      table.install(slot, entry);
      return;
    }
    const VirtRange mapped = kSize == PageSize::kHuge ? leaf_span() : VirtRange(page_, ByteCount(kPageSize));
    supplies_->gather.flush_range(mapped, FlushRequest::Depth::kTablesToo);
    if (space_.is_only_actor(requester_)) {
      table.replace(slot, entry);
      return;
    }
    // Read-only until everybody has forgotten the old frame; finish_leaf() does the rest.
    space_.replacing_.fetch_add(1);
    supplies_->replacing = true;
    supplies_->leaf_entry = entry.without_write();
    table.replace(slot, supplies_->leaf_entry);
  }

  // An object's page, mapped or copied (fault_object.cc).
  Attempt map_object_page(ExclusiveTable& table, Slot slot, Entry seen);
  Attempt map_device_page(ExclusiveTable& table, Slot slot);
  Attempt copy_object_page(ExclusiveTable& table, Slot slot);
  Attempt copy_mapped_page(ExclusiveTable& table, Slot slot, Entry seen);
  template <typename Table>
  std::int64_t install_object_pages(Table& table, Slot slot, Entry seen, Prot prot);
  template <typename Table>
  bool install_object_page(Table& table, Slot slot, Entry seen, Frame& page, Prot prot);
  void hold_around(Supplies& supplies) const;
  [[nodiscard]] static bool is_lost(const Frame& page) { return page.has_flag(Frame::kPoisoned) || page.has_flag(Frame::kRemoved); }
  // Whether an entry of the object's `page` may be writable. Locks: the table's: who takes the mark away comes here afterwards for the
  // entries.
  [[nodiscard]] bool may_write(const Frame& page) const {
    if (is_tracked() && access_ != Access::kWrite) return false;  // W says that it was written
    return vma_.is_shared() && (!vma_.object->gives_notice() || page.has_flag(Frame::kOwned));
  }

  // An entry's page may not be written although the object let us: it has been stored since, or has left the object, and the entry is about
  // to go, which is waited for as the end of a move is.
  Attempt refused(const Frame& page) {
    supplies_->drop_object_page();
    return (page.flags & Frame::kRemoved) != 0 ? Attempt::kMoving : Attempt::kRetry;
  }

  // Mappings of huge pages (fault_huge.cc).
  FaultOutcome run_huge(Supplies& supplies);
  Attempt fill_huge(ExclusiveTable& table, Slot slot, Entry seen);
  Attempt fill_absent_huge(ExclusiveTable& table, Slot slot);
  Attempt copy_huge(ExclusiveTable& table, Slot slot, Entry seen);
  Attempt take_back(ExclusiveTable& table, Slot slot, Entry seen);
  Attempt put_huge_page(ExclusiveTable& table, Slot slot, Entry seen, const Frame* from);
  void drop_data();
  [[nodiscard]] HugeObject& huge_object() const { return static_cast<HugeObject&>(*vma_.object); }

  // Tables that the object lends (fault_object.cc). No page of a space's own is in them.
  [[nodiscard]] bool may_be_lent() const { return vma_.object != nullptr && !wants_copy() && vma_.handler == nullptr && !is_tracked(); }
  [[nodiscard]] bool is_tracked() const { return vma_.flags.has(VmaFlag::kTracked); }
  [[nodiscard]] bool wants_copy() const { return access_ == Access::kWrite && !vma_.is_shared(); }
  Attempt borrow(ExclusiveTable& table, Slot slot, const LentKey& key);
  Attempt use_lent(ExclusiveTable& table, Slot slot, Entry seen);
  Attempt fill_lent(Frame& lent);
  Attempt fill_lent_leaf(const TableView& table);
  Attempt leave_lent(ExclusiveTable& table, Slot slot, Frame& lent);
  [[nodiscard]] Attempt lacking_table();

  // The mapping allows more than the entry: rights are given lazily, so that mprotect that only adds touches no table.
  [[gnu::noinline]] Attempt restore_rights(ExclusiveTable& table, Slot slot, Entry seen) {
    const bool enough =
        seen.present() && (access_ != Access::kExecute || seen.executable()) && (access_ != Access::kWrite || seen.writable());
    if (enough) return spurious();
    const EntryKind kind = memory_.kind_of(seen, table.level());
    const bool is_object_page = kind == EntryKind::kFrame && !seen.is_private_leaf();
    // The object hears of the first write, and may refuse it.
    const bool gives_notice = is_object_page && access_ == Access::kWrite && vma_.object->gives_notice();
    if (gives_notice && supplies_ == nullptr) return Attempt::kNeedsSupplies;
    if (gives_notice && supplies_->object_page == nullptr) return Attempt::kNeedsObjectPage;
    if (gives_notice) supplies_->seen_moves = memory_.moves_of_pages();
    SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    if (table.entry(slot) != seen) return Attempt::kRetry;
    const bool keeps_write =
        seen.writable() || (is_object_page && may_write(memory_.frame(seen.pfn()))) || (kind == EntryKind::kRaw && vma_.is_shared());
    if (gives_notice && !keeps_write) return refused(memory_.frame(seen.pfn()));
    const bool zero = kind == EntryKind::kZeroFrame;
    const Entry fresh = seen.with_prot(vma_.prot, keeps_write && !zero ? Writable::kYes : Writable::kNo);
    return table.change_rights(slot, seen, fresh) ? done() : Attempt::kRetry;
  }

  // After the flush: the new leaf may be written, if it is still there.
  void finish_leaf() {
    {
      const Slot slot = geometry().slot_of(page_, table_.level());
      SpinGuard guard(table_.lock(), LockRank::kTable, table_.lock_key());
      const Entry entry = table_.entry(slot);
      if (entry.present() && entry.pfn() == supplies_->leaf_entry.pfn() && vma_.prot.write() && !entry.is_guarded())
        table_.allow_write(slot, memory_.zero());
    }
    space_.replacing_.fetch_sub(1);
  }

  [[nodiscard]] const Geometry& geometry() const { return memory_.geometry(); }
  // What the leaf maps that is being looked at.
  [[nodiscard]] VirtRange leaf_span() const { return geometry().entry_range(page_, table_.level()); }

  AddressSpace& space_;
  MemoryManager& memory_;
  const Vma& vma_;
  const VirtAddr address_, page_;
  const Access access_;
  const AddressSpace::Requester requester_;
  bool is_clear_ = false;  ///< `data_` is full of zeros
  bool supplying_ = false, guards_ = false, is_occupied_ = false;
  AskedFault::Reason reason_{};
  std::uint64_t seen_changes_ = 0;
  ExclusiveTable table_;
  Supplies* supplies_ = nullptr;
  Frame* data_ = nullptr;
};

}  // namespace quire
