#include "fs/memory/page_memory.h"

#include "mm/frames.h"
#include "mm/memory.h"

namespace quire::kernel {

std::byte* allocate_page_or_null() { return allocate_spare_frame(); }

void free_page(std::byte* page) { free_frame(page); }

std::uint64_t memory_pages() { return memory().pool().total_frames().raw(); }

}  // namespace quire::kernel
