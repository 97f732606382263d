#include "quire/space/hold.h"

#include "quire/base/assert.h"
#include "quire/space/address_space.h"
#include "quire/table/writer.h"

namespace quire {

namespace {

/// Pins of one page beyond which no more are given (Linux: when the count would overflow).
constexpr std::uint32_t kMaxPins = 4000;

}  // namespace

PageHold& PageHold::operator=(PageHold&& other) noexcept {
  if (this != &other) {
    release();
    memory_ = other.memory_;
    frame_ = other.frame_;
    pfn_ = other.pfn_;
    kind_ = other.kind_;
    other.frame_ = nullptr;
  }
  return *this;
}

void PageHold::release() {
  if (frame_ == nullptr) return;
  if (!is_zero() && (kind_ == HoldKind::kPin ? frame_->unpin() : frame_->put())) memory_->pool().give(frame_);
  frame_ = nullptr;
}

void PageHold::mark_dirty() {
  const SpinGuard guard(frame_->lock, LockRank::kFrame, frame_->key());
  frame_->flags = static_cast<std::uint16_t>(frame_->flags | Frame::kDirty);
}

/// One look for a page that can be held as it is mapped now. Locks: the space's, shared.
class HoldAttempt {
 public:
  enum class State : std::uint8_t { kHeld, kNeedsFault, kRefused };

  HoldAttempt(AddressSpace& space, const Vma& vma, VirtAddr address, Access access, HoldKind kind)
      : space_(space), memory_(space.memory_), geometry_(memory_.geometry()), vma_(vma), page_(address.page_floor()), access_(access),
        kind_(kind) {}

  State run() {
    ExclusiveTable table = ExclusivePath::root(space_);
    while (table.level() != kLeafLevel) {
      const Entry entry = table.entry(geometry_.slot_of(page_, table.level()));
      if (entry.is_large()) {
        const SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
        return hold(table, Path::kExclusive);
      }
      if (!entry.writable() || !memory_.is_own_table(entry.pfn(), table.level().below())) return look_below(table, entry);
      table = ExclusivePath::child(memory_, table, entry);
    }
    const SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    return hold(table, Path::kExclusive);
  }
  [[nodiscard]] PageHold take() { return PageHold(memory_, *held_, pfn_, kind_); }

 private:
  enum class Path : std::uint8_t { kExclusive, kShared };

  [[nodiscard]] bool wants_own_page() const { return kind_ == HoldKind::kPin && !vma_.is_shared(); }

  // Nothing under an entry that names a shared table can go while the table with the entry is locked (see FaultResolver::look_below()).
  // What may be written below is lent.
  State look_below(const ExclusiveTable& table, Entry seen) {
    if (wants_own_page()) return State::kNeedsFault;
    const SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
    Entry entry = table.entry(geometry_.slot_of(page_, table.level()));
    if (entry != seen) return State::kNeedsFault;
    for (Level level = table.level();;) {
      if (access_ == Access::kWrite && !entry.writable()) return State::kNeedsFault;
      const EntryKind kind = memory_.kind_of(entry, level);
      if (kind == EntryKind::kZeroTable) return hold_zero();
      if (kind != EntryKind::kTable) return State::kNeedsFault;
      const TableView child(memory_, memory_.frame(entry.pfn()));
      level = level.below();
      entry = child.entry(geometry_.slot_of(page_, level));
      if (level == kLeafLevel || entry.is_large()) {
        const SpinGuard inner(child.lock(), LockRank::kTable, child.lock_key());
        return hold(child, Path::kShared);
      }
    }
  }

  State hold_zero() {
    pfn_ = memory_.zero().frame();
    held_ = &memory_.frame(pfn_);
    return State::kHeld;
  }

  // Locks: the table's that the leaf is in.
  State hold(const TableView& table, Path path) {
    const Slot slot = geometry_.slot_of(page_, table.level());
    const Entry entry = table.entry(slot);
    switch (memory_.kind_of(entry, table.level())) {
      case EntryKind::kZeroFrame:
        return entry.present() && access_ != Access::kWrite && !wants_own_page() ? hold_zero() : State::kNeedsFault;
      case EntryKind::kFrame: break;
      case EntryKind::kRaw: return State::kRefused;  // no page that could be counted
      case EntryKind::kAbsent:
      case EntryKind::kTable:
      case EntryKind::kZeroTable:
      case EntryKind::kSwap:
      case EntryKind::kMigration:
      case EntryKind::kPoison:
      case EntryKind::kMarker:
      case EntryKind::kMalformed: return State::kNeedsFault;
    }
    Frame& page = memory_.frame(entry.pfn());
    const bool grants =
        entry.present() && (access_ != Access::kWrite || entry.writable()) && (access_ != Access::kExecute || entry.executable());
    if (!grants && !wants_own_page()) return State::kNeedsFault;
    if (wants_own_page() && !entry.is_private_leaf()) return State::kNeedsFault;  // an object's page, which a write would copy
    if (entry.is_private_leaf()) {
      // Only what is the space's alone is pinned (I5, S1.14): W at the end of an exclusive path says so, others may hold it then who came
      // by the same path.
      const bool is_own = path == Path::kExclusive && (entry.writable() || (page.has_one_holder() && !entry.is_guarded()));
      if (wants_own_page() && (!is_own || (access_ == Access::kWrite && !grants))) return State::kNeedsFault;
      if (path == Path::kShared) {
        clear_write_in_place(table, slot);
      } else {
        ExclusivePath::note_holds(space_, page_, table.level());
        if (wants_own_page()) ExclusivePath::note_write(table, slot);
      }
    }
    if (kind_ == HoldKind::kPin) {
      if (page.pins() >= kMaxPins) return State::kRefused;
      page.pin();
    } else {
      page.get();
    }
    held_ = &page;
    pfn_ = entry.pfn() + pages_of(page_ - geometry_.entry_range(page_, table.level()).begin());
    return State::kHeld;
  }

  AddressSpace& space_;
  MemoryManager& memory_;
  const Geometry& geometry_;
  const Vma& vma_;
  const VirtAddr page_;
  const Access access_;
  const HoldKind kind_;
  Frame* held_ = nullptr;
  Pfn pfn_;
};

Result<PageHold> AddressSpace::hold(VirtAddr address, Access access, HoldKind kind) {
  for (;;) {
    Purpose purpose = Purpose::kAccess;
    {
      SharedGuard guard(lock_);
      const Vma* vma = map_.find(address);
      if (vma == nullptr || !vma->prot.allows(access) || vma->flags.has(VmaFlag::kDevice)) return fail(Errno::kFault);
      HoldAttempt attempt(*this, *vma, address, access, kind);
      switch (attempt.run()) {
        case HoldAttempt::State::kHeld: return attempt.take();
        case HoldAttempt::State::kRefused: return fail(vma->object != nullptr || kind == HoldKind::kGet ? Errno::kFault : Errno::kAgain);
        case HoldAttempt::State::kNeedsFault: break;
      }
      if (kind == HoldKind::kPin && !vma->is_shared()) purpose = Purpose::kOwnPage;
    }
    switch (resolve_fault(address, access, Requester::kOther, purpose)) {
      case FaultOutcome::kMinor:
      case FaultOutcome::kMajor: break;
      case FaultOutcome::kMapError:
      case FaultOutcome::kAccessError:
      case FaultOutcome::kBusError:
      case FaultOutcome::kInterrupted: return fail(Errno::kFault);
      case FaultOutcome::kOutOfMemory: return fail(Errno::kNoMem);
    }
  }
}

// A private page is written while it is pinned as the space's own, whatever became of it since it was made so (R21).
Result<ByteCount> AddressSpace::poke(VirtAddr address, std::span<const std::byte> from) {
  std::size_t done = 0;
  Errno error{0};
  while (done < from.size() && error == Errno{0}) {
    const auto at = checked_add(address, ByteCount(done));
    if (!at || memory_.geometry().user_top() <= *at) break;
    const std::size_t offset = at->raw() & (kPageSize - 1);
    const std::size_t part = from.size() - done < kPageSize - offset ? from.size() - done : kPageSize - offset;
    Access access = Access::kRead;
    Purpose purpose = Purpose::kOwnPage;
    PageHold page;
    {
      SharedGuard guard(lock_);
      const Vma* vma = map_.find(*at);
      if (vma == nullptr || (vma->is_shared() && !vma->prot.write()) || vma->flags.has(VmaFlag::kDevice)) break;
      if (vma->is_shared()) {
        access = Access::kWrite;
        purpose = Purpose::kAccess;
      }
      HoldAttempt attempt(*this, *vma, *at, access, HoldKind::kPin);
      const HoldAttempt::State state = attempt.run();
      if (state == HoldAttempt::State::kRefused) break;
      if (state == HoldAttempt::State::kHeld) page = attempt.take();
    }
    if (page) {
      std::byte* const memory = page.contents() + offset;
      hooks::yield_point("store_frame", memory);
      __builtin_memcpy(memory, from.data() + done, part);
      page.mark_dirty();
      done += part;
      continue;
    }
    const FaultOutcome outcome = resolve_fault(*at, access, Requester::kOther, purpose);
    if (outcome == FaultOutcome::kOutOfMemory) error = Errno::kNoMem;
    if (outcome == FaultOutcome::kMapError || outcome == FaultOutcome::kAccessError || outcome == FaultOutcome::kBusError ||
        outcome == FaultOutcome::kInterrupted) {
      error = Errno::kFault;
    }
  }
  if (done == 0 && !from.empty()) return fail(error == Errno{0} ? Errno::kFault : error);
  return ByteCount(done);
}

}  // namespace quire
