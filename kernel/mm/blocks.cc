#include "mm/blocks.h"

#include <array>
#include <bit>
#include <cstdint>

#include "arch/layout.h"
#include "arch/paging.h"
#include "mm/frames.h"
#include "mm/shootdown.h"
#include "quire/base/types.h"
#include "sync/lock.h"

namespace quire::kernel {
namespace {

constexpr unsigned kFirstShift = std::countr_zero(kSmallestBlock);
constexpr unsigned kClasses = std::countr_zero(kLargestBlock) - kFirstShift + 1;
/// Each class has an equal part of the region.
constexpr std::uint64_t kClassSpan = (kBlockEnd - kBlockBase) / 16;
static_assert(kClasses <= 16);
/// Bytes of mapped, unused blocks that a class keeps.
constexpr std::size_t kKeptBytes = 2U << 20;

/// A page or block nobody uses, linked through its first bytes.
struct Unused {
  Unused* next;
};

/// Blocks of one size, each in the second half of a place of twice the size: the first half is the guard.
class BlockClass {
 public:
  std::byte* allocate(unsigned index, FrameUse use);
  void free(std::byte* block, unsigned index);

 private:
  static constexpr std::uint64_t kNoPlace = 0;

  /// A place without frames; places are numbered from 1.
  std::uint64_t take_place(unsigned index);
  std::byte* map_place(std::uint64_t place, unsigned index, FrameUse use);
  /// Unmaps the pages of [begin, end), puts the frames on `frames` and the place on the list.
  void unmap_place(std::uint64_t place, unsigned index, std::size_t size, Unused*& frames);
  void trim(unsigned index);

  SpinLock lock_;
  Unused* mapped_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::uint64_t unmapped_ = kNoPlace;  ///< list of places, linked through notes in their first entry
  std::uint64_t places_ = 0;           ///< ever used
};

constinit std::array<BlockClass, kClasses> classes;

constexpr std::size_t size_of_class(unsigned index) { return kSmallestBlock << index; }

unsigned class_of(std::size_t size) {
  return size <= kSmallestBlock ? 0 : static_cast<unsigned>(std::bit_width(size - 1)) - kFirstShift;
}

unsigned class_of(const std::byte* block) {
  return static_cast<unsigned>((reinterpret_cast<std::uint64_t>(block) - kBlockBase) / kClassSpan);
}

std::uint64_t address_of_place(std::uint64_t place, unsigned index) {
  return kBlockBase + index * kClassSpan + (place * 2 - 1) * size_of_class(index);
}

std::uint64_t place_of(const std::byte* block, unsigned index) {
  const std::uint64_t offset = reinterpret_cast<std::uint64_t>(block) - kBlockBase - index * kClassSpan;
  return offset / (2 * size_of_class(index)) + 1;
}

void push(Unused*& list, void* memory) { list = new (memory) Unused{list}; }

Unused* pop(Unused*& list) {
  Unused* const first = list;
  if (first != nullptr) list = first->next;
  return first;
}

/// Every CPU forgets the region; then the frames may be used for other things.
void release_frames(Unused* frames) {
  flush_kernel_range(kBlockBase, kBlockEnd - kBlockBase);
  while (Unused* const frame = pop(frames)) free_frame(reinterpret_cast<std::byte*>(frame));
}

std::uint64_t BlockClass::take_place(unsigned index) {
  if (unmapped_ != kNoPlace) {
    const std::uint64_t place = unmapped_;
    unmapped_ = block_note(address_of_place(place, index));
    return place;
  }
  return (places_ + 1) * 2 * size_of_class(index) > kClassSpan ? kNoPlace : ++places_;
}

std::byte* BlockClass::map_place(std::uint64_t place, unsigned index, FrameUse use) {
  const std::uint64_t address = address_of_place(place, index);
  for (std::size_t at = 0; at < size_of_class(index); at += kPageSize) {
    std::byte* const frame = use == FrameUse::kUser ? allocate_spare_frame() : allocate_frame();
    if (frame == nullptr) {
      Unused* frames = nullptr;
      unmap_place(place, index, at, frames);
      release_frames(frames);
      return nullptr;
    }
    map_block_page(address + at, *physical_of(frame));
  }
  return reinterpret_cast<std::byte*>(address);
}

void BlockClass::unmap_place(std::uint64_t place, unsigned index, std::size_t size, Unused*& frames) {
  const std::uint64_t address = address_of_place(place, index);
  for (std::size_t at = 0; at < size; at += kPageSize) {
    push(frames, direct_map(unmap_block_page(address + at)));
  }
  set_block_note(address, unmapped_);
  unmapped_ = place;
}

void BlockClass::trim(unsigned index) {
  Unused* frames = nullptr;
  while (mapped_bytes_ > kKeptBytes / 2) {
    const auto* block = reinterpret_cast<std::byte*>(pop(mapped_));
    mapped_bytes_ -= size_of_class(index);
    unmap_place(place_of(block, index), index, size_of_class(index), frames);
  }
  release_frames(frames);
}

std::byte* BlockClass::allocate(unsigned index, FrameUse use) {
  const Guard guard(lock_);
  if (Unused* const block = pop(mapped_); block != nullptr) {
    mapped_bytes_ -= size_of_class(index);
    return reinterpret_cast<std::byte*>(block);
  }
  const std::uint64_t place = take_place(index);
  return place == kNoPlace ? nullptr : map_place(place, index, use);
}

void BlockClass::free(std::byte* block, unsigned index) {
  const Guard guard(lock_);
  push(mapped_, block);
  mapped_bytes_ += size_of_class(index);
  if (mapped_bytes_ > kKeptBytes) trim(index);
}

}  // namespace

std::byte* allocate_block(std::size_t size, FrameUse use) {
  if (size > kLargestBlock) return nullptr;
  const unsigned index = class_of(size);
  return classes[index].allocate(index, use);
}

void free_block(std::byte* block) {
  const unsigned index = class_of(block);
  classes[index].free(block, index);
}

std::size_t block_size(const std::byte* block) { return size_of_class(class_of(block)); }

}  // namespace quire::kernel
