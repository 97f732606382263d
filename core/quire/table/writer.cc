#include "quire/table/writer.h"

namespace quire {

namespace {

void store_raw(std::uint64_t* entries, Slot slot, Entry entry) {
  __atomic_store_n(&entries[slot], entry.encoded(), __ATOMIC_RELAXED);
}

}  // namespace

unsigned TableView::next_used(unsigned slot, unsigned slots) const {
  static_assert(Entry().encoded() == 0);
  const auto bits = [this](unsigned n) { return __atomic_load_n(&entries_[n], __ATOMIC_RELAXED); };
  const auto four = [bits](unsigned n) { return bits(n) | bits(n + 1) | bits(n + 2) | bits(n + 3); };
  while (slot + 8 <= slots && (four(slot) | four(slot + 4)) == 0) slot += 8;
  while (slot < slots && bits(slot) == 0) ++slot;
  return slot;
}

NewTable::NewTable(MemoryManager& memory, Frame& held, Level level) : ExclusiveTable(memory, memory.pfn_of(held), level) {
  MemoryManager::fill_zero(memory.contents(held));
  held.kind = FrameKind::kTable;
  held.level = level;
  held.table = Frame::Table{};
  held.table.share.store_relaxed(1);
  memory.counters().add(Counter::kTableAlloc);
  memory.trace().add(TraceEvent::kMake, [&] { return TraceRecord{.table = memory.pfn_of(held), .share = 1, .level = level}; });
}

void NewTable::fill(const MemoryManager& memory, Entry entry) {
  QUIRE_ASSERT(memory.zero().is_zero(entry.pfn()), "only zero entries may repeat: they are not counted");
  const unsigned slots = memory.geometry().slots();
  for (unsigned slot = 0; slot < slots; ++slot) store_raw(entries_, static_cast<Slot>(slot), entry);
  frame_->table.live = static_cast<std::uint16_t>(slots);
  if (level_ == kLeafLevel) frame_->table.leaves[static_cast<unsigned>(LeafClass::kNone)] = frame_->table.live;
}

void fill_zero_table(MemoryManager& memory, Pfn table, Entry entry) {
  auto* entries = reinterpret_cast<std::uint64_t*>(memory.window(table));
  for (unsigned slot = 0; slot < memory.geometry().slots(); ++slot) store_raw(entries, static_cast<Slot>(slot), entry);
}

}  // namespace quire
