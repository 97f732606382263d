#include "mm/memory.h"

#include <algorithm>
#include <array>

#include "arch/features.h"
#include "arch/layout.h"
#include "arch/panic.h"
#include "mm/frames.h"

namespace quire::kernel {
namespace {

MemoryManager manager;
constexpr std::size_t kMaxFree = 32;
/// Below this, firmware and the trampoline of the other CPUs live.
constexpr std::uint64_t kLowMemoryEnd = 1U << 20;
/// The kernel's share of memory that programs cannot use up: 1/32, within bounds.
constexpr std::uint64_t kMinReserve = 512, kMaxReserve = 16384;

/// RAM not in use yet, as ranges in ascending order: early needs are cut off their ends, core gets what is left.
class FreeRam {
 public:
  void add(PhysicalRange range) {
    if (count_ < kMaxFree && range.begin < range.end) ranges_[count_++] = range;
  }
  void remove(PhysicalRange taken) {
    const std::size_t count = count_;
    for (std::size_t i = 0; i < count; ++i) {
      PhysicalRange& range = ranges_[i];
      const PhysicalRange above{std::max(range.begin, taken.end), range.end};
      range.end = std::max(range.begin, std::min(range.end, taken.begin));
      if (range.begin == range.end) {
        range = above.begin < above.end ? above : PhysicalRange{};
      } else {
        add(above);
      }
    }
  }
  /// Zeroed memory (QEMU's RAM is, until somebody writes) with its end below `limit`, page aligned.
  std::uint64_t take(std::uint64_t size, std::uint64_t limit) {
    for (PhysicalRange& range : ranges()) {
      if (range.size() < size || range.begin + size > limit) continue;
      const std::uint64_t begin = range.begin;
      range.begin += size;
      return begin;
    }
    panic("not enough memory to boot: try a larger -m");
  }
  [[nodiscard]] std::span<PhysicalRange> ranges() { return {ranges_.data(), count_}; }

 private:
  std::array<PhysicalRange, kMaxFree> ranges_{};
  std::size_t count_ = 0;
};

constinit FreeRam free_ram;
constexpr std::uint64_t kAnywhere = ~std::uint64_t{0};

/// The boot tables see the first GiB only.
std::uint64_t early_table() { return free_ram.take(kPageSize, 1U << 30); }

PhysicalRange to_pages_inside(PhysicalRange range) {
  return {(range.begin + kPageSize - 1) & ~(kPageSize - 1), range.end & ~(kPageSize - 1)};
}
PhysicalRange to_pages_around(PhysicalRange range) {
  return {range.begin & ~(kPageSize - 1), (range.end + kPageSize - 1) & ~(kPageSize - 1)};
}

void hand_over(PageCount frames, Frame* descriptors) {
  std::array<MemoryManager::Range, kMaxFree> ranges{};
  unsigned count = 0;
  std::uint64_t pages = 0;
  for (const PhysicalRange& range : free_ram.ranges()) {
    if (range.size() == 0) continue;
    ranges[count++] = {Pfn(range.begin >> kPageShift), PageCount(range.size() >> kPageShift)};
    pages += range.size() >> kPageShift;
  }
  MemoryConfig config;
  config.window = direct_map<std::byte>(0);
  config.descriptors = descriptors;
  config.frames = frames;
  config.largest_leaf = Level(cpu_features().huge_pages_1g ? 3 : 2);
  config.kernel_reserve = PageCount(std::clamp(pages / 32, std::min(kMinReserve, pages / 4), kMaxReserve));
  if (!manager.init(config, ranges.data(), count)) panic("core did not accept the memory");
}

}  // namespace

MemoryManager& memory() { return manager; }

void init_memory(std::span<const PhysicalRange> ram, std::span<const PhysicalRange> taken) {
  std::array<PhysicalRange, kMaxFree> mapped;
  std::size_t mapped_count = 0;
  std::uint64_t end = 0;
  for (const PhysicalRange& part : ram) {
    const PhysicalRange range = to_pages_inside(part);
    if (range.begin >= range.end || mapped_count == mapped.size()) continue;
    mapped[mapped_count++] = range;
    end = std::max(end, range.end);
    free_ram.add(range);
  }
  free_ram.remove({0, kLowMemoryEnd});
  free_ram.remove({kLowMemoryEnd, reinterpret_cast<std::uint64_t>(image_end) - kImageBase});
  for (const PhysicalRange& range : taken) free_ram.remove(to_pages_around(range));
  build_kernel_tables(std::span(mapped).first(mapped_count), &early_table);

  const PageCount frames(end >> kPageShift);
  const std::uint64_t size = to_pages_around({0, frames.raw() * sizeof(Frame)}).end;
  hand_over(frames, direct_map<Frame>(free_ram.take(size, kAnywhere)));
  set_table_source(&allocate_table_frame);
}

}  // namespace quire::kernel
