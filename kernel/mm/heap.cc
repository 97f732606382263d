#include "mm/heap.h"

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <new>

#include "arch/cpu.h"
#include "arch/layout.h"
#include "arch/panic.h"
#include "mm/blocks.h"
#include "mm/frames.h"
#include "quire/base/assert.h"
#include "quire/base/types.h"
#include "sync/lock.h"

namespace quire::kernel {
namespace {

constexpr std::array<std::uint16_t, 12> kSizes{32, 64, 96, 128, 192, 256, 320, 448, 576, 768, 1344, 2016};
constexpr unsigned kClasses = kSizes.size();
constexpr std::size_t kSlabAlignment = 64;
constexpr std::size_t kGrain = 32;
/// Objects a CPU keeps of one size before it gives half of them back, and how many it fetches at once.
constexpr unsigned kKept = 32, kBatch = 16;

struct FreeObject {
  FreeObject* next;
};

struct alignas(kSlabAlignment) Slab {
  explicit Slab(unsigned size_class) : index(size_class) {}
  boost::intrusive::list_member_hook<> hook;
  FreeObject* free = nullptr;
  std::uint16_t in_use = 0;
  std::uint16_t untouched = 0;  ///< objects from this one on were never given out
  unsigned index;
};
static_assert(sizeof(Slab) == kSlabAlignment);

/// The slabs of one size with room.
class SizeClass {
 public:
  FreeObject* take(unsigned index);
  void give_back(FreeObject* object);
  SpinLock lock;

 private:
  using Hook = boost::intrusive::member_hook<Slab, boost::intrusive::list_member_hook<>, &Slab::hook>;
  boost::intrusive::list<Slab, Hook, boost::intrusive::constant_time_size<false>> with_room_;
};

struct Magazine {
  FreeObject* first = nullptr;
  unsigned count = 0;
};
using Magazines = std::array<Magazine, kClasses>;

std::array<SizeClass, kClasses> size_classes;
constinit PerCpu<Magazines> magazines;

constexpr unsigned objects_per_slab(unsigned index) {
  return static_cast<unsigned>((kPageSize - sizeof(Slab)) / kSizes[index]);
}

/// Size class by size in grains, rounded up.
constexpr auto kClassOfGrain = [] {
  std::array<std::uint8_t, kSizes.back() / kGrain + 1> table{};
  for (std::size_t grains = 0, index = 0; grains < table.size(); ++grains) {
    while (kSizes[index] < grains * kGrain) ++index;
    table[grains] = static_cast<std::uint8_t>(index);
  }
  return table;
}();

Slab& slab_of(const void* object) {
  return *reinterpret_cast<Slab*>(reinterpret_cast<std::uint64_t>(object) & ~(kPageSize - 1));
}

FreeObject* SizeClass::take(unsigned index) {
  if (with_room_.empty()) {
    std::byte* const frame = allocate_frame();
    if (frame == nullptr) return nullptr;
    with_room_.push_front(*new (frame) Slab(index));
  }
  Slab& slab = with_room_.front();
  FreeObject* object = slab.free;
  if (object != nullptr) {
    slab.free = object->next;
  } else {
    std::byte* const objects = reinterpret_cast<std::byte*>(&slab) + sizeof(Slab);
    object = reinterpret_cast<FreeObject*>(objects + std::size_t{slab.untouched++} * kSizes[index]);
  }
  if (++slab.in_use == objects_per_slab(index)) with_room_.pop_front();
  return object;
}

void SizeClass::give_back(FreeObject* object) {
  Slab& slab = slab_of(object);
  object->next = slab.free;
  slab.free = object;
  if (slab.in_use-- == objects_per_slab(slab.index)) with_room_.push_front(slab);
  if (slab.in_use == 0 && &with_room_.front() != &with_room_.back()) {
    with_room_.erase(with_room_.iterator_to(slab));
    slab.~Slab();
    free_frame(reinterpret_cast<std::byte*>(&slab));
  }
}

void assert_no_interrupt() {
  QUIRE_ASSERT(!this_cpu_data().in_interrupt, "interrupt handlers do not use the heap");
}

void* allocate_object(unsigned index) {
  assert_no_interrupt();
  Magazine& magazine = magazines.local()[index];
  if (magazine.first == nullptr) {
    SizeClass& size_class = size_classes[index];
    const Guard guard(size_class.lock);
    for (unsigned i = 0; i < kBatch; ++i) {
      FreeObject* const object = size_class.take(index);
      if (object == nullptr) break;
      object->next = magazine.first;
      magazine.first = object;
      ++magazine.count;
    }
    if (magazine.first == nullptr) return nullptr;
  }
  FreeObject* const object = magazine.first;
  magazine.first = object->next;
  --magazine.count;
  return object;
}

void free_object(void* memory) {
  assert_no_interrupt();
  const unsigned index = slab_of(memory).index;
  QUIRE_ASSERT(index < kClasses, "an object that is freed came from the heap");
  Magazine& magazine = magazines.local()[index];
  magazine.first = new (memory) FreeObject{magazine.first};
  if (++magazine.count <= kKept) return;
  SizeClass& size_class = size_classes[index];
  const Guard guard(size_class.lock);
  for (unsigned i = 0; i < kBatch; ++i) {
    FreeObject* const object = magazine.first;
    magazine.first = object->next;
    --magazine.count;
    size_class.give_back(object);
  }
}

bool is_block(const void* object) {
  const auto address = reinterpret_cast<std::uint64_t>(object);
  return address >= kBlockBase && address < kBlockEnd;
}

bool is_page_aligned(const void* object) {
  return (reinterpret_cast<std::uint64_t>(object) & (kPageSize - 1)) == 0;
}

}  // namespace

void* heap_allocate(std::size_t size, std::size_t alignment) {
  // Sizes that are multiples of 64 keep the slab's alignment.
  if (alignment > 16) size = (size + alignment - 1) & ~(alignment - 1);
  if (alignment > kSlabAlignment && size < kPageSize) size = kPageSize;
  if (size <= kSizes.back()) {
    unsigned index = kClassOfGrain[(size + kGrain - 1) / kGrain];
    while (index < kClasses && alignment > 16 && kSizes[index] % alignment != 0) ++index;
    if (index < kClasses) return allocate_object(index);
  }
  return size <= kPageSize ? allocate_frame() : allocate_block(size);
}

void heap_free(void* object) {
  if (object == nullptr) return;
  if (is_block(object)) {
    free_block(static_cast<std::byte*>(object));
  } else if (is_page_aligned(object)) {
    free_frame(static_cast<std::byte*>(object));
  } else {
    free_object(object);
  }
}

std::size_t heap_size(const void* object) {
  if (is_block(object)) return block_size(static_cast<const std::byte*>(object));
  return is_page_aligned(object) ? kPageSize : kSizes[slab_of(object).index];
}

}  // namespace quire::kernel

namespace {

void* allocate_or_panic(std::size_t size, std::size_t alignment) {
  void* const object = quire::kernel::heap_allocate(size, alignment);
  if (object == nullptr) quire::kernel::panic("the kernel is out of memory: try a larger -m");
  return object;
}

constexpr std::size_t kNormalAlignment = 16;

std::size_t raw(std::align_val_t alignment) { return static_cast<std::size_t>(alignment); }

}  // namespace

const std::nothrow_t std::nothrow{};

void* operator new(std::size_t size) { return allocate_or_panic(size, kNormalAlignment); }
void* operator new[](std::size_t size) { return allocate_or_panic(size, kNormalAlignment); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate_or_panic(size, raw(alignment)); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate_or_panic(size, raw(alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return quire::kernel::heap_allocate(size, kNormalAlignment);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return quire::kernel::heap_allocate(size, kNormalAlignment);
}
void operator delete(void* object) noexcept { quire::kernel::heap_free(object); }
void operator delete[](void* object) noexcept { quire::kernel::heap_free(object); }
void operator delete(void* object, std::size_t) noexcept { quire::kernel::heap_free(object); }
void operator delete[](void* object, std::size_t) noexcept { quire::kernel::heap_free(object); }
void operator delete(void* object, std::align_val_t) noexcept { quire::kernel::heap_free(object); }
void operator delete[](void* object, std::align_val_t) noexcept { quire::kernel::heap_free(object); }
void operator delete(void* object, std::size_t, std::align_val_t) noexcept { quire::kernel::heap_free(object); }
void operator delete[](void* object, std::size_t, std::align_val_t) noexcept { quire::kernel::heap_free(object); }
