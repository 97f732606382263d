// Operations on tables as objects: copy, share, release, count. One routine per primitive (S2.12), the same at every level (S2.9).
//
// Share counts: the number of upper entries (and holders of roots) that name a table. The decrement that reaches zero releases what the
// table names, exactly once (I6). A fork-shared table has W=0 in every entry that names it, and copying clears W in both copies (R9), so
// whatever W bits lie below a shared table are inert until the path above is exclusive again (I3).
#pragma once

#include <cstdint>

#include "quire/frame/frame_pool.h"
#include "quire/object/memory_object.h"
#include "quire/table/writer.h"

namespace quire {

/// Attachments promised to the copy of a table: one for each object the original is attached to.
class AttachmentReservation {
 public:
  explicit AttachmentReservation(MemoryManager& memory) : memory_(memory) {}
  ~AttachmentReservation() {
    if (held_ != 0) give_back();
  }
  AttachmentReservation(const AttachmentReservation&) = delete;
  AttachmentReservation& operator=(const AttachmentReservation&) = delete;
  Result<void> ensure(std::uint32_t count);
  [[nodiscard]] Attachment& take();
  [[nodiscard]] std::uint32_t held() const { return held_; }

 private:
  void give_back();

  MemoryManager& memory_;
  Attachment* first_ = nullptr;
  std::uint32_t held_ = 0;
};

/// Copies every entry of `from` into `to`, an empty new table of its level: child tables become shared, frames get a leaf entry more,
/// zero objects and special entries are copied bare (S0.41); W is cleared in both for tables and private leaves. Attaches the copy behind
/// the original. Post: both tables' counters agree.
/// Locks: `from`'s held.
void copy_entries(MemoryManager& memory, Frame& from, NewTable& to, AttachmentReservation& attachments);

/// How many attachments a copy of `table` needs, however it may be filled until then. Locks: the table's, or a stable table.
[[nodiscard]] std::uint32_t attachments_of_lent_copy(const Frame& table);
[[nodiscard]] inline std::uint32_t attachments_of_copy(const Frame& table) {
  return table.is_lent() ? attachments_of_lent_copy(table) : table.table.attachment_count;
}

/// One more upper entry will name `table`. The caller keeps a share alive meanwhile (S0.5).
std::uint32_t add_share(Frame& table);
/// The same of a lent table, and whoever traces hears of it.
void add_traced_share(MemoryManager& memory, Frame& table);
/// One upper entry less names it; returns how many are left: 0 tells the caller to release its contents (S2.42).
[[nodiscard]] std::uint32_t drop_share(Frame& table);
/// Drops a share and, if it was the last, releases what the table names and gives back its frame. Never allocates.
/// Pre: flushed (I7). Locks: no table's.
void release_table(MemoryManager& memory, Frame& table);

/// What a subtree holds: leaves of level 1 by class, what larger ones map in small pages, and tables, itself included.
struct SubtreeCount {
  std::uint64_t leaves[kLeafClasses] = {};
  std::uint64_t huge = 0;
  std::uint64_t tables = 0;
};
/// Counts below and including `table` from the tables' counters: O(tables). The subtree is stable: the caller holds its space's lock
/// exclusively.
void count_subtree(const MemoryManager& memory, Frame& table, SubtreeCount& count);

/// Adds or removes one entry, that of `page` at `slot`, to or from the table's attachments: of its object, and of the one it is a private
/// copy of a page of. Pre of adding: what lacks is reserved. Locks: the table's.
void add_attached_page(Frame& table, const Frame::Page& page, Slot slot, AttachmentReservation& attachments);
void drop_attached_page(MemoryManager& memory, Frame& table, const Frame& page, Slot slot);
/// How many attachments the table lacks for such an entry. Locks: the table's.
[[nodiscard]] std::uint32_t lacking_attachments(Frame& table, const Frame::Page& page, Slot slot);
/// A new attachment of `object` at `first_index`, without entries yet. Pre: one is reserved, and the table has none such. Locks: the
/// table's.
Attachment& make_attachment(Frame& table, MemoryObject& object, std::int64_t first_index, AttachmentReservation& attachments);
/// The table's attachment of that kind, if it has one, so that adding an entry needs none. Locks: the table's, or a stable table.
[[nodiscard]] inline Attachment* find_attachment(Frame& table, const MemoryObject& object, std::int64_t first_index) {
  Attachment* a = table.table.attachments;
  while (a != nullptr && (a->object != &object || a->first_index != first_index)) a = a->next_in_table;
  return a;
}

}  // namespace quire
