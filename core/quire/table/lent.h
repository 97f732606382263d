// Tables that memory objects lend (X12, design.md rule 12; docs/decisions/0012-lent-tables.md).
//
// A lent table belongs to an object: it holds entries of the object's pages at their places and nothing else, for mappings that grant the
// same rights. The object has one share of it; each upper entry that names it has one more. So it is never exclusive: who wants anything
// else in it gets a copy, as of any shared table (ExclusivePath::unshare). W in an upper entry that names a lent table is the mapping's
// right to write, not a proof of exclusiveness (I3), which is why such tables are of a kind of their own. Lent tables above the leaves name
// lent tables only. An entry is filled in place, for all who are lent the table, under the table's lock; taken out in place when its page
// leaves the object.
#pragma once

#include <cstdint>
#include <optional>

#include "quire/frame/frame_pool.h"
#include "quire/object/memory_object.h"
#include "quire/table/tree.h"
#include "quire/table/writer.h"
#include "quire/vma/vma.h"

namespace quire {

/// Spans of entries at this level and below are lent: 2 MiB and 1 GiB.
inline constexpr Level kHighestLentLevel{2};

/// Which table may serve `span`, that of an entry naming a table of `level`, in `vma`: one that its object lends to whoever maps all of the
/// span at a place as congruent, and cannot come to have pages of its own in it. None: the space makes its own.
[[nodiscard]] std::optional<LentKey> lent_key(const Geometry& geometry, const Vma& vma, VirtRange span, Level level);

/// The table of `object` for `key` with a share for the caller's entry, made of what is reserved if there is none. Null: one frame and one
/// attachment must be reserved. Locks: the table's that the entry is in.
[[nodiscard]] Frame* borrow_table(MemoryManager& memory, MemoryObject& object, const LentKey& key, FrameReservation& frames,
                                  AttachmentReservation& attachments);

/// The entry that names a lent table.
[[nodiscard]] inline Entry lent_entry(const MemoryManager& memory, const Frame& table) {
  return Entry::table(memory.pfn_of(table), table.lent_rights().write() ? Writable::kYes : Writable::kNo);
}

/// How many tables below a lent one may have to be copied along with it: as they are filled in by others at any time, all that `slots` of
/// its slots may name.
[[nodiscard]] inline std::uint32_t copies_below_lent(const Frame& table, std::uint64_t slots) {
  return table.is_lent() && table.level != kLeafLevel ? static_cast<std::uint32_t>(slots) : 0;
}

}  // namespace quire
