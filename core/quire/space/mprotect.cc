// mprotect (Linux v6.12 mm/mprotect.c:do_mprotect_pkey(), man7 mprotect(2)).
//
// Rights that are added cost nothing: faults give them. Rights that are taken away change entries, so every shared table in the range is
// unshared first, with all that needs reserved before the first change (P1, S1.24).

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/own_tables.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"
#include "quire/uapi.h"

namespace quire {

namespace {

/// One pass over the entries of a range whose rights shrink.
class Protect {
 public:
  explicit Protect(AddressSpace& space) : memory_(space.memory()), tables_(space, Counter::kUnshareMprotect) {}

  void count(VirtRange range) { tables_.count(range); }
  Result<void> reserve() { return tables_.reserve(); }

  // `old` and `now` are the rights of the mapping before and after.
  void run(VirtRange range, Prot old, Prot now, Gather& gather) {
    const bool loses_more_than_write = (old.bits() & ~now.bits() & ~Prot::kWriteBit) != 0 || now.none();
    tables_.run(
        range, gather,
        [&](ExclusiveTable& table, VirtRange part) {
          SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
          OwnTables::for_each_slot(memory_.geometry(), table, part,
                                   [&](Slot slot, VirtRange page, VirtRange) { limit_leaf(table, slot, page, now, gather); });
        },
        [&](ExclusiveTable& table, Slot slot, VirtRange span) {
          if (!loses_more_than_write) return;
          SpinGuard guard(table.lock(), LockRank::kTable, table.lock_key());
          table.clear(slot);
          gather.flush_range(span, FlushRequest::Depth::kTablesToo);
        });
  }

 private:
  void limit_leaf(ExclusiveTable& table, Slot slot, VirtRange page, Prot now, Gather& gather) {
    for (;;) {
      const Entry seen = table.entry(slot);
      // A migration entry loses the rights of the leaf it stands for.
      const bool moving = memory_.kind_of(seen, table.level()) == EntryKind::kMigration;
      const Entry entry = moving ? seen.migrated_to(seen.pfn()) : seen;
      if (!entry.names_frame()) return;
      // Only what the entry already grants may stay granted.
      std::uint8_t bits = now.bits();
      if (!entry.present()) return;
      if (!entry.executable()) bits = static_cast<std::uint8_t>(bits & ~Prot::kExecBit);
      const Entry limited = entry.with_prot(now.none() ? now : Prot(static_cast<std::uint8_t>(bits | Prot::kReadBit)),
                                            entry.writable() ? Writable::kYes : Writable::kNo);
      if (limited == entry) return;
      if (!table.replace_if(slot, seen, moving ? limited.as_migration() : limited)) continue;  // hardware set A or D: look again (I14)
      gather.flush_range(page, FlushRequest::Depth::kLeavesOnly);
      return;
    }
  }

  MemoryManager& memory_;
  OwnTables tables_;
};

// Memory that becomes writable is accounted from then on; it is given back only if nothing was written meanwhile (Linux v6.12
// mm/mprotect.c:mprotect_fixup()).
VmaFlags accounted_as(const Vma& vma, Prot prot) {
  if (prot.write()) {
    const bool is_exempt = vma.prot.write() || vma.flags.has_any(VmaFlag::kShared | VmaFlag::kNoReserve | VmaFlag::kHugeTlb);
    return is_exempt ? vma.flags : vma.flags.with(VmaFlag::kAccounted);
  }
  return vma.object == nullptr && vma.anon.is_none() ? vma.flags.without(VmaFlag::kAccounted) : vma.flags;
}

}  // namespace

Result<void> AddressSpace::mprotect(VirtAddr address, ByteCount length, std::uint32_t raw_prot) {
  const std::uint32_t grows = raw_prot & (uapi::kProtGrowsDown | uapi::kProtGrowsUp);
  const std::uint32_t prot_bits = raw_prot & ~(uapi::kProtGrowsDown | uapi::kProtGrowsUp);
  if (grows == (uapi::kProtGrowsDown | uapi::kProtGrowsUp)) return fail(Errno::kInval);
  if (!address.is_page_aligned()) return fail(Errno::kInval);
  if (length.raw() == 0) return {};
  const auto rounded = checked_page_ceil(length);
  const auto end = rounded ? checked_add(address, *rounded) : std::nullopt;
  if (!end || rounded->raw() == 0) return fail(Errno::kNoMem);
  if ((prot_bits & ~(uapi::kProtRead | uapi::kProtWrite | uapi::kProtExec | uapi::kProtSem)) != 0) return fail(Errno::kInval);
  const Prot prot(static_cast<std::uint8_t>(prot_bits & 7));

  VmaMap before(memory_);
  VirtRange changed(address, address);
  Result<void> result{};
  {
    ExclusiveGuard guard(lock_);
    if (map_.has_any(VmaFlag::kLocked)) before = map_;
    result = mprotect_locked(VirtRange(address, *end), grows, prot, changed);
  }
  if (!prot.write()) return result;
  // Locked memory that may be written now has pages of its own at once (Linux v6.12 mm/mprotect.c:mprotect_fixup()), as far as they can be
  // had.
  for (const Vma& vma : before.overlapping(changed)) {
    const bool is_wanted = vma.flags.has(VmaFlag::kLocked) && !vma.prot.write() && !vma.is_shared();
    if (is_wanted) static_cast<void>(populate(vma.range.intersection(changed)));
  }
  return result;
}

// `done` becomes the range that has the new rights, also where an error ended it.
Result<void> AddressSpace::mprotect_locked(VirtRange asked, std::uint32_t grows, Prot prot, VirtRange& done) {
  const VirtAddr end = asked.end();
  VirtAddr begin = asked.begin();
  const Vma* first = map_.first_ending_above(begin);
  if (first == nullptr) return fail(Errno::kNoMem);
  if ((grows & uapi::kProtGrowsDown) != 0) {
    if (end <= first->range.begin()) return fail(Errno::kNoMem);
    begin = first->range.begin();
    if (!first->flags.has(VmaFlag::kGrowsDown)) return fail(Errno::kInval);
  } else {
    if (begin < first->range.begin()) return fail(Errno::kNoMem);
    if ((grows & uapi::kProtGrowsUp) != 0) return fail(Errno::kInval);  // no mapping grows up on x86
  }

  // As far as Linux gets: up to the first hole, the first mapping that may not have these rights, or the first that RLIMIT_DATA forbids to
  // become data (mm/mprotect.c:mprotect_fixup()); the part before is changed.
  VirtAddr stop = begin;
  Errno error{0};
  PageCount new_data;
  for (const Vma& vma : map_.overlapping(VirtRange(begin, end))) {
    if (stop < vma.range.begin()) break;
    const VirtAddr part_end = vma.range.end() < end ? vma.range.end() : end;
    if ((prot.write() && !vma.flags.has(VmaFlag::kMayWrite)) || (prot.exec() && vma.flags.has(VmaFlag::kDevice))) {
      error = Errno::kAcces;
      break;
    }
    if (MappedPages::is_data(prot, vma.flags) && !MappedPages::is_data(vma.prot, vma.flags)) {
      const PageCount pages = VirtRange(stop, part_end).pages();
      new_data += pages;
      if ((mapped_.data + new_data).raw() > limits_.data.raw() >> kPageShift && may_expand(pages, vma.prot, vma.flags)) {
        error = Errno::kNoMem;
        break;
      }
    }
    stop = part_end;
  }
  if (error == Errno{0} && stop < end) error = Errno::kNoMem;

  const VirtRange range(begin, stop);
  QUIRE_CHECK(adopt_locked(range));
  VmaMap changed = map_;
  for (const Vma& vma : map_.overlapping(range)) {
    if (vma.prot == prot) continue;
    Vma part = vma.clipped(range);
    part.prot = prot;
    part.flags = accounted_as(vma, prot);
    QUIRE_CHECK(changed.erase_range(part.range));
    QUIRE_CHECK(changed.insert_merging(part));
  }
  if (changed.size() > map_.size() && changed.size() > limits_.max_map_count) return fail(Errno::kNoMem);
  {
    Gather gather(*this);
    QUIRE_CHECK(protect_locked(map_, range, prot, gather));
    commit_map(std::move(changed), range);
  }
  done = range;
  if (error != Errno{0}) return fail(error);
  return {};
}

Result<void> AddressSpace::protect_locked(const VmaMap& map, VirtRange range, Prot prot, Gather& gather) {
  Protect protect(*this);
  auto shrinks = [&](const Vma& vma) { return (vma.prot.bits() & ~prot.bits()) != 0; };
  for (const Vma& vma : map.overlapping(range)) {
    if (shrinks(vma)) protect.count(vma.range.intersection(range));
  }
  QUIRE_CHECK(protect.reserve());
  for (const Vma& vma : map.overlapping(range)) {
    if (shrinks(vma)) protect.run(vma.range.intersection(range), vma.prot, prot, gather);
  }
  return {};
}

}  // namespace quire
