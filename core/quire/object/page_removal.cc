#include "quire/object/page_removal.h"

#include <algorithm>

#include "quire/table/tree.h"

namespace quire {

void PageRemoval::run(PageIndex first, PageIndex last) {
  std::uint64_t moves;
  do {  // an entry that moves between tables may have been passed
    moves = object_.moves();
    walk(first, last);
  } while (object_.moves() != moves);
  finish_batch();
}

void PageRemoval::walk(PageIndex first, PageIndex last) {
  MemoryObject::Step step{object_.leaf_level(), nullptr, object_.first_position_of(first), 0};
  for (bool more = object_.next_step(last, step); more;) {
    bool is_done = true;
    {
      SpinGuard guard(step.table->lock, LockRank::kTable, table_lock_key(*step.table));
      if (object_.is_attached(step)) is_done = clear(*step.table, step.first_index, first, last);
    }
    if (is_done) {
      more = object_.next_step(last, step);
    } else {
      finish_batch();
    }
  }
}

// False: the batch is full. Locks: the table's.
bool PageRemoval::clear(Frame& frame, std::int64_t first_index, PageIndex first, PageIndex last) {
  const TableView table(memory_, frame);
  const auto slots = static_cast<std::int64_t>(memory_.geometry().slots());
  const std::int64_t begin = std::max(static_cast<std::int64_t>(first.raw()) - first_index, std::int64_t{0});
  const auto last_index = static_cast<std::int64_t>(std::min<std::uint64_t>(last.raw(), kLastIndex));
  const std::int64_t end = std::min(last_index - first_index + 1, slots);
  for (std::int64_t n = begin; n < end && frame.table.live != 0; ++n) {
    const auto slot = static_cast<Slot>(n);
    Entry entry = table.entry(slot);
    const EntryKind kind = memory_.kind_of(entry, table.level());
    if (kind != EntryKind::kFrame && kind != EntryKind::kMigration) continue;
    Frame& page = memory_.frame(entry.pfn());
    if (!is_wanted(page, static_cast<std::uint64_t>(first_index + n))) continue;
    if (count_ == kBatch) return false;
    if (count_ == 0 && memory_.notifiers().any()) open_ = memory_.notifiers().begin(nullptr);
    while (!remove_in_place(table, slot, entry)) entry = table.entry(slot);
    drop_attached_page(memory_, frame, page, slot);
    batch_[count_++] = {&page, kind};
  }
  return true;
}

bool PageRemoval::is_wanted(const Frame& page, std::uint64_t index) const {
  if (page.page.object == &object_) return page.page.index == index && page.has_flag(Frame::kRemoved);
  return copies_ == Copies::kGoToo && page.page.source == &object_ && page.page.source_index == index;
}

// Every processor forgets the entries before the pages may become something else (I7).
void PageRemoval::finish_batch() {
  if (count_ == 0) return;
  memory_.flush_all(FlushRequest::Depth::kLeavesOnly);
  for (unsigned n = 0; n < count_; ++n) {
    const Frame& page = *batch_[n].page;
    if (open_ != 0) memory_.notifiers().invalidate_frames(memory_.pfn_of(page), memory_.size_of(page), open_);
    const bool is_last = batch_[n].kind == EntryKind::kFrame ? batch_[n].page->drop_leaf() : batch_[n].page->drop_moving();
    if (is_last) memory_.pool().give(batch_[n].page);
  }
  if (open_ != 0) memory_.notifiers().end(open_);
  open_ = 0;
  count_ = 0;
  memory_.note_edit();
  memory_.end_move();  // for those who want to write what was there
}

}  // namespace quire
