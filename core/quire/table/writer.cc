#include "quire/table/writer.h"

namespace quire {

namespace {

void store_raw(std::uint64_t* entries, Slot slot, Entry entry) {
  __atomic_store_n(&entries[slot], entry.encoded(), __ATOMIC_RELAXED);
}

}  // namespace

unsigned TableView::next_used(unsigned slot, unsigned slots) const {
  static_assert(Entry().encoded() == 0);
  const std::uint64_t* at = entries_ + slot;
  const std::uint64_t* const end = entries_ + slots;
  const auto bits = [](const std::uint64_t* entry) { return __atomic_load_n(entry, __ATOMIC_RELAXED); };
  const auto four = [bits](const std::uint64_t* first) { return bits(first) | bits(first + 1) | bits(first + 2) | bits(first + 3); };
  while (end - at >= 8 && (four(at) | four(at + 4)) == 0) at += 8;
  while (at < end && bits(at) == 0) ++at;
  return static_cast<unsigned>(at - entries_);
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
