#include "quire/host/physical_memory.h"

#include <sys/mman.h>

namespace quire {

Reservation::~Reservation() {
  if (data_ != nullptr) munmap(data_, size_.raw());
}

Result<void> Reservation::reserve(ByteCount size) {
  void* const at = mmap(nullptr, size.raw(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return fail(Errno::kNoMem);
  data_ = static_cast<std::byte*>(at);
  size_ = size;
  return {};
}

Result<void> PhysicalMemory::reserve(PageCount frames, std::size_t descriptor_size) {
  std::uint64_t descriptor_bytes = 0;
  if (frames.raw() == 0 || frames.raw() > (~std::uint64_t{0} >> kPageShift) ||
      __builtin_mul_overflow(frames.raw(), descriptor_size, &descriptor_bytes)) {
    return fail(Errno::kInval);
  }
  QUIRE_CHECK(window_.reserve(frames.bytes()));
  QUIRE_CHECK(descriptors_.reserve(ByteCount(descriptor_bytes)));
  frames_ = frames;
  return {};
}

}  // namespace quire
