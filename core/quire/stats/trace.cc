#include "quire/stats/trace.h"

#include "quire/memory_manager.h"

namespace quire {

namespace {

std::array<std::uint64_t, 6> pack(const TraceRecord& r) {
  const std::uint64_t kinds =
      std::uint64_t{r.level.raw()} | static_cast<std::uint64_t>(r.event) << 8 | static_cast<std::uint64_t>(r.reason) << 16;
  return {r.space, r.address.raw(), r.value, r.table.raw(), r.share, kinds};
}

TraceRecord unpack(const std::array<std::uint64_t, 6>& words, std::uint64_t number) {
  TraceRecord r;
  r.space = words[0];
  r.address = VirtAddr(words[1]);
  r.value = words[2];
  r.table = Pfn(words[3]);
  r.share = static_cast<std::uint32_t>(words[4]);
  r.level = Level(static_cast<std::uint8_t>(words[5]));
  r.event = static_cast<TraceEvent>(words[5] >> 8 & 0xff);
  r.reason = static_cast<Counter>(words[5] >> 16 & 0xff);
  r.number = number;
  return r;
}

}  // namespace

Result<void> Trace::start(MemoryManager& memory, Filter filter) {
  for (Slot*& part : ring_) {
    if (part != nullptr) continue;
    Frame* const frame = memory.pool().take_or_null(FrameUse::kKernel);
    if (frame == nullptr) return fail(Errno::kNoMem);
    frame->kind = FrameKind::kKernel;
    MemoryManager::fill_zero(memory.contents(*frame));
    part = reinterpret_cast<Slot*>(memory.contents(*frame));
  }
  space_.store_relaxed(filter.space);
  events_.store(filter.events & kAllEvents);
  return {};
}

void Trace::end(MemoryManager& memory) {
  stop();
  for (Slot*& part : ring_) {
    if (part == nullptr) continue;
    const auto offset = static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(part) - memory.window(Pfn(0)));
    memory.pool().give(&memory.frame(Pfn(offset >> kPageShift)));
    part = nullptr;
  }
  next_.store(0);
}

void Trace::put(TraceEvent event, TraceRecord record) {
  record.event = event;
  const std::uint64_t wanted = space_.load_relaxed();
  if (wanted != 0 && record.space != wanted) return;
  const std::uint64_t number = next_.fetch_add(1);
  Slot& slot = slot_of(number);
  // Whoever is a whole ring behind finds the slot taken, and its record is lost.
  std::uint64_t seen = slot.stamp.load_relaxed();
  if (seen > number || !slot.stamp.compare_exchange(seen, kBusy)) return;
  const auto words = pack(record);
  for (unsigned n = 0; n < kWords; ++n) slot.words[n].store_relaxed(words[n]);
  slot.stamp.store(number + 1);
}

std::size_t Trace::read(std::uint64_t& from, std::span<TraceRecord> to) const {
  if (ring_.back() == nullptr) return 0;
  const std::uint64_t end = next_.load();
  if (end - from > kSlots) from = end - kSlots;
  std::size_t count = 0;
  for (; from < end && count < to.size(); ++from) {
    const Slot& slot = slot_of(from);
    const std::uint64_t stamp = slot.stamp.load();
    if ((stamp == kBusy || stamp < from + 1) && end - from < kSlots / 2) break;  // being written
    std::array<std::uint64_t, kWords> words;
    for (unsigned n = 0; n < kWords; ++n) words[n] = slot.words[n].load_relaxed();
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (slot.stamp.load_relaxed() == from + 1) to[count++] = unpack(words, from);
  }
  return count;
}

}  // namespace quire
