// Registering mappings with whoever is asked about their faults, and what it does for them (Linux v6.12 fs/userfaultfd.c,
// mm/userfaultfd.c; docs/decisions/0013-userfault.md). How a fault comes to ask is in fault_asking.cc.

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/fault_resolver.h"
#include "quire/space/guards.h"

namespace quire {

namespace {

/// Linux v6.12 include/linux/userfaultfd_k.h:vma_can_userfault(), but for private mappings of shared memory and for huge pages.
bool can_register(const Vma& vma) {
  if (vma.is_huge()) return false;
  if (vma.object == nullptr) return true;
  return vma.is_shared() && vma.object->leaf_class() == LeafClass::kShmem;
}

/// Whether registering changes nothing: what a mapping is registered for stays if it is more.
bool is_registered(const Vma& vma, const FaultDelegate& handler, VmaFlags flags) {
  return vma.handler == &handler && vma.flags.with(flags) == vma.flags;
}

/// What has `handler` in `map`, or nothing.
const Vma* first_of(const VmaMap& map, const FaultDelegate& handler) {
  for (const Vma* vma = map.first_with(kAskingFlags, VirtAddr(0)); vma != nullptr; vma = map.first_with(kAskingFlags, vma->range.end())) {
    if (vma->handler == &handler) return vma;
  }
  return nullptr;
}

}  // namespace

Result<void> AddressSpace::register_handler(VirtRange range, FaultDelegate& handler, VmaFlags flags) {
  ExclusiveGuard guard(lock_);
  bool is_mapped = false;
  for (const Vma& vma : map_.overlapping(range)) {
    is_mapped = true;
    if (!can_register(vma)) return fail(Errno::kInval);
    if (!vma.flags.has(VmaFlag::kMayWrite)) return fail(Errno::kPerm);
    if (vma.handler != nullptr && vma.handler != &handler && !vma.handler->is_retired()) return fail(Errno::kBusy);
  }
  if (!is_mapped) return fail(Errno::kInval);
  QUIRE_CHECK(adopt_locked(range));
  // Zeros of which nobody knows what was read make way for faults; guards that nothing will come of, too.
  const bool asks_missing = flags.has(VmaFlag::kAsksMissing), drops_guards = !flags.has(VmaFlag::kAsksGuarded);
  VmaMap changed = map_;
  OwnTables zeros(*this, Counter::kUnshareMprotect);
  Guards guards(*this);
  for (const Vma& vma : map_.overlapping(range)) {
    if (is_registered(vma, handler, flags)) continue;
    Vma part = vma.clipped(range);
    if (asks_missing && vma.object == nullptr) zeros.count(part.range);
    if (drops_guards && vma.flags.has(VmaFlag::kAsksGuarded)) guards.count_removal(part.range);
    part.flags = part.flags.without(kAskingFlags).with(flags);
    part.handler = &handler;
    QUIRE_CHECK(changed.erase_range(part.range));
    QUIRE_CHECK(changed.insert_merging(part));
  }
  if (changed.size() > map_.size() && changed.size() > limits_.max_map_count) return fail(Errno::kNoMem);
  QUIRE_CHECK(zeros.reserve());
  QUIRE_CHECK(guards.reserve());
  Gather gather(*this);
  for (const Vma& vma : map_.overlapping(range)) {
    if (is_registered(vma, handler, flags)) continue;
    const VirtRange part = vma.range.intersection(range);
    if (drops_guards && vma.flags.has(VmaFlag::kAsksGuarded)) guards.remove(part, gather);
    if (!asks_missing || vma.object != nullptr) continue;
    zeros.run(
        part, gather, [](ExclusiveTable&, VirtRange) {},
        [&gather](ExclusiveTable& table, Slot slot, VirtRange span) {
          SpinGuard lock(table.lock(), LockRank::kTable, table.lock_key());
          table.clear(slot);
          gather.flush_range(span, FlushRequest::Depth::kTablesToo);
        });
  }
  gather.finish();
  commit_map(std::move(changed), range);
  return {};
}

Result<void> AddressSpace::unregister_handler(VirtRange range, const FaultDelegate& handler) {
  ExclusiveGuard guard(lock_);
  bool is_mapped = false;
  for (const Vma& vma : map_.overlapping(range)) {
    is_mapped = true;
    if (!can_register(vma) || (vma.handler != nullptr && vma.handler != &handler)) return fail(Errno::kInval);
  }
  if (!is_mapped) return fail(Errno::kInval);
  return unregister_locked(range);
}

void AddressSpace::drop_handler(FaultDelegate& handler) {
  handler.retire();
  ExclusiveGuard guard(lock_);
  for (const Vma* vma = first_of(map_, handler); vma != nullptr; vma = first_of(map_, handler)) {
    if (!unregister_locked(vma->range)) break;
  }
  handler.note_change();
}

// Errors: ENOMEM, nothing changed.
Result<void> AddressSpace::unregister_locked(VirtRange range) {
  QUIRE_CHECK(adopt_locked(range));
  VmaMap changed = map_;
  Guards guards(*this);
  for (const Vma& vma : map_.overlapping(range)) {
    if (vma.handler == nullptr) continue;
    Vma part = vma.clipped(range);
    if (part.flags.has(VmaFlag::kAsksGuarded)) guards.count_removal(part.range);
    part.forget_handler();
    QUIRE_CHECK(changed.erase_range(part.range));
    QUIRE_CHECK(changed.insert_merging(part));
  }
  if (changed.size() > map_.size() && changed.size() > limits_.max_map_count) return fail(Errno::kNoMem);
  QUIRE_CHECK(guards.reserve());
  Gather gather(*this);
  for (const Vma& vma : map_.overlapping(range)) {
    if (vma.handler == nullptr) continue;
    if (vma.flags.has(VmaFlag::kAsksGuarded)) guards.remove(vma.range.intersection(range), gather);
    vma.handler->note_change();
  }
  gather.finish();
  commit_map(std::move(changed), range);
  return {};
}

Result<void> AddressSpace::guard(VirtRange range, Guarded guarded, Unpopulated unpopulated) {
  ExclusiveGuard guard(lock_);
  VirtAddr end = range.begin();
  bool is_whole = false;
  Guards guards(*this);
  const auto treatment = [unpopulated](const Vma& vma) { return vma.object != nullptr ? Unpopulated::kMarked : unpopulated; };
  for (const Vma& vma : map_.overlapping(range)) {
    is_whole = vma.asks(VmaFlag::kAsksGuarded);
    if (!is_whole) break;
    const VirtRange part = vma.range.intersection(range);
    end = part.end();
    if (guarded == Guarded::kYes) {
      guards.count(part, treatment(vma));
    } else {
      guards.count_removal(part);
    }
  }
  QUIRE_CHECK(guards.reserve());
  Gather gather(*this);
  for (const Vma& vma : map_.overlapping(VirtRange(range.begin(), end))) {
    const VirtRange part = vma.range.intersection(range);
    if (guarded == Guarded::kYes) {
      guards.set(part, treatment(vma), gather);
    } else {
      guards.remove(part, gather);
    }
    vma.handler->note_change();
  }
  gather.finish();
  if (!is_whole) return fail(Errno::kNoEnt);
  return {};
}

Result<void> AddressSpace::supply(VirtAddr page, std::span<const std::byte> contents, Guarded guarded) {
  for (;;) {
    bool is_private = false, lacks_tag = false;
    {
      SharedGuard guard(lock_);
      const Vma* const vma = map_.find(page);
      if (vma == nullptr || vma->handler == nullptr) return fail(Errno::kNoEnt);
      if (guarded == Guarded::kYes && !vma->flags.has(VmaFlag::kAsksGuarded)) return fail(Errno::kInval);
      is_private = vma->object == nullptr;
      lacks_tag = is_private && vma->anon.is_none();
    }
    if (lacks_tag) QUIRE_CHECK(tag(page));
    const Result<void> result = is_private ? supply_private(page, contents, guarded) : supply_object(page, contents, guarded);
    if (result || result.error() != Errno::kAgain) return result;
  }
}

// EAGAIN: the mapping has changed.
Result<void> AddressSpace::supply_private(VirtAddr page, std::span<const std::byte> contents, Guarded guarded) {
  Frame* filled = nullptr;
  if (!contents.empty()) {
    filled = memory_.pool().take_or_null(FrameUse::kUser);
    if (filled == nullptr) return fail(Errno::kNoMem);
    __builtin_memcpy(memory_.contents(*filled), contents.data(), kPageSize);
  }
  SharedGuard guard(lock_);
  const Vma* const vma = map_.find(page);
  const bool is_same = vma != nullptr && vma->handler != nullptr && vma->object == nullptr && !vma->anon.is_none();
  if (!is_same) {
    if (filled != nullptr) memory_.pool().give(filled);
    return fail(Errno::kAgain);
  }
  FaultResolver resolver(*this, *vma, page, Access::kWrite, Requester::kOther);
  const Result<void> supplied = resolver.supply(filled, guarded);
  if (supplied) vma->handler->note_change();
  return supplied;
}

// With the lock exclusive, so that nobody maps the page, unguarded, between its coming to the object and to the mapping.
Result<void> AddressSpace::supply_object(VirtAddr page, std::span<const std::byte> contents, Guarded guarded) {
  FrameReservation frames(memory_.pool());
  QUIRE_CHECK(frames.ensure(1, FrameUse::kUser));
  if (contents.empty()) {
    memory_.clear_data(frames.first());
  } else {
    __builtin_memcpy(memory_.contents(frames.first()), contents.data(), kPageSize);
  }
  ExclusiveGuard guard(lock_);
  const Vma* const vma = map_.find(page);
  if (vma == nullptr || vma->handler == nullptr || vma->object == nullptr) return fail(Errno::kAgain);
  const PageIndex index = vma->index_of(page);
  Frame* const filled = frames.take();
  if (const auto added = vma->object->add_page(index, *filled); !added) {
    frames.add(*filled);
    return added;
  }
  FaultResolver resolver(*this, *vma, page, Access::kWrite, Requester::kOther);
  const Result<void> mapped = resolver.supply(nullptr, guarded);
  if (filled->put()) memory_.pool().give(filled);
  if (!mapped) {
    vma->object->punch(index, index);
    return mapped;
  }
  vma->handler->note_change();
  return {};
}

}  // namespace quire
