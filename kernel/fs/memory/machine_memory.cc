#include "fs/memory/machine_memory.h"

#include "mm/memory.h"

namespace quire::kernel {

std::uint64_t memory_pages() { return memory().pool().total_frames().raw(); }

}  // namespace quire::kernel
