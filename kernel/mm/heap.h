// The kernel's heap, behind operator new and delete.
//
// Sizes up to 2 KiB come from slabs: frames cut into equal objects, with the slab's header at the frame's start, so an
// object's slab is found from its address. A full frame serves up to 4 KiB and is known by its page-aligned address;
// more comes from mm/blocks.h. Each CPU keeps a few free objects of each size, taken and given back without a lock,
// because kernel code is not preempted; interrupt handlers must not allocate.
#pragma once

#include <cstddef>

namespace quire::kernel {

/// Null when memory is exhausted. `alignment`: up to 64, or 4096.
[[nodiscard]] void* heap_allocate(std::size_t size, std::size_t alignment);
void heap_free(void* object);
/// Usable size of an allocated object.
[[nodiscard]] std::size_t heap_size(const void* object);

}  // namespace quire::kernel
