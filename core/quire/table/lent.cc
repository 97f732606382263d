#include "quire/table/lent.h"

#include "quire/base/assert.h"

namespace quire {

std::optional<LentKey> lent_key(const Geometry& geometry, const Vma& vma, VirtRange span, Level level) {
  if (kHighestLentLevel < level || vma.object == nullptr) return std::nullopt;
  if (!vma.is_shared() && vma.prot.write()) return std::nullopt;
  if (vma.flags.has_any(VmaFlag::kCopyOnFork | VmaFlag::kDevice | VmaFlag::kTracked) || !vma.range.contains(span)) return std::nullopt;
  const Level leaf_level = vma.leaf_level();
  // Private mappings of huge pages that nobody has put there yet make pages of their own.
  if (level < leaf_level || (leaf_level != kLeafLevel && !vma.is_shared())) return std::nullopt;
  const PageIndex first = vma.index_of(span.begin());
  if (first.raw() % span.pages().raw() != 0) return std::nullopt;
  return LentKey{level, static_cast<std::int64_t>(first.raw() / pages_of(geometry.span(leaf_level)).raw()), vma.prot};
}

Frame* borrow_table(MemoryManager& memory, MemoryObject& object, const LentKey& key, FrameReservation& frames,
                    AttachmentReservation& attachments) {
  if (Frame* const found = object.share_lent(key); found != nullptr) return found;
  if (frames.held() == 0 || attachments.held() == 0) return nullptr;
  NewTable fresh(memory, *frames.take(), key.level);
  Frame& table = fresh.frame();
  table.kind = FrameKind::kLentTable;
  table.flags = static_cast<std::uint16_t>(key.rights.bits() << Frame::kRightsShift);
  add_traced_share(memory, table);  // the object's beside the caller's
  Attachment& attachment = attachments.take();
  attachment.object = &object;
  attachment.table = &table;
  attachment.first_index = key.first_index;
  attachment.entries = 0;
  attachment.next_in_table = nullptr;
  table.table.attachments = &attachment;
  table.table.attachment_count = 1;
  Frame& lent = object.lend(attachment, key);
  if (&lent == &table) {
    memory.counters().add(Counter::kLend);
    return &table;
  }
  // Somebody was faster.
  memory.attachments().destroy(&attachment);
  memory.counters().add(Counter::kTableFree);
  memory.trace().add(TraceEvent::kFree, [&] { return TraceRecord{.table = memory.pfn_of(table), .level = key.level}; });
  memory.pool().give(&table);
  return &lent;
}

}  // namespace quire
