#include "quire/host/snapshot.h"

#include <optional>
#include <utility>

#include "quire/arch/entry.h"
#include "quire/host/cpu.h"
#include "quire/memory_manager.h"

namespace quire {

Result<Snapshot> Snapshot::take(const Space& space) {
  QUIRE_TRY(Space copy, space.fork());
  return Snapshot(std::move(copy));
}

Result<void> Snapshot::restore(Space& space) const {
  QUIRE_TRY(space, space_.fork());
  return {};
}

Result<void> Snapshot::restore(Space& space, Cpu& cpu) const {
  QUIRE_TRY(Space restored, space_.fork());
  cpu.run(restored);
  space = std::move(restored);
  return {};
}

namespace detail {
namespace {

/// Two trees compared side by side.
class Comparison {
 public:
  Comparison(const MemoryManager& memory, PageVisitor visitor, void* context)
      : memory_(memory), visitor_(visitor), context_(context) {}

  /// Pre: the tables differ, or one is absent. `begin` is the first address they cover; `slots` how
  /// many entries count.
  void compare(std::optional<Pfn> before, std::optional<Pfn> after, Level level, VirtAddr begin,
               unsigned slots) {
    for (unsigned slot = 0; slot < slots; ++slot) {
      const auto old_frame = frame_at(before, slot);
      const auto new_frame = frame_at(after, slot);
      if (old_frame == new_frame) continue;
      const VirtAddr at = begin + ByteCount(memory_.geometry().span(level).raw() * slot);
      if (level == kLeafLevel) {
        visitor_(context_, at);
      } else if (is_large_at(before, slot) || is_large_at(after, slot)) {
        const ByteCount size = memory_.geometry().span(level);
        for (ByteCount page(0); page < size; page += ByteCount(kPageSize)) visitor_(context_, at + page);
      } else {
        compare(old_frame, new_frame, level.below(), at, memory_.geometry().slots());
      }
    }
  }

 private:
  [[nodiscard]] Entry entry_at(Pfn table, unsigned slot) const {
    const auto* const entries = reinterpret_cast<const std::uint64_t*>(memory_.window(table));
    return Entry::decoded(__atomic_load_n(entries + slot, __ATOMIC_ACQUIRE));
  }
  [[nodiscard]] bool is_large_at(std::optional<Pfn> table, unsigned slot) const {
    return table && entry_at(*table, slot).is_large();
  }
  /// The frame that an entry names; none where only zeros are.
  [[nodiscard]] std::optional<Pfn> frame_at(std::optional<Pfn> table, unsigned slot) const {
    if (!table) return std::nullopt;
    const Entry entry = entry_at(*table, slot);
    if (!entry.names_frame() || memory_.zero().is_zero(entry.pfn())) return std::nullopt;
    return entry.pfn();
  }

  const MemoryManager& memory_;
  PageVisitor visitor_;
  void* context_;
};

}  // namespace

void for_each_changed_page(AddressSpace& since, AddressSpace& now, PageVisitor visitor,
                           void* context) {
  const Geometry& geometry = now.memory().geometry();
  Comparison(now.memory(), visitor, context)
      .compare(since.tlb().root, now.tlb().root, geometry.root_level(), VirtAddr(0),
               geometry.user_root_slots());
}

}  // namespace detail
}  // namespace quire
