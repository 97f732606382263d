// Compaction: pages move from the highest frames to the lowest free ones, so that what is free lies together (Linux v6.12 mm/compaction.c).
//
// Two fingers, one coming down over the pages, one going up over the free frames; where they meet it is done. Pages that somebody holds,
// tables and small objects stay where they are. Runs while everything else does; nothing waits for it but faults on the page that is just
// on its way.
// Locks: none held. Allocates nothing but the frames it moves pages to.
#pragma once

#include <cstdint>

#include "quire/memory_manager.h"

namespace quire {

struct Compacted {
  std::uint64_t moved = 0;
  std::uint64_t busy = 0;  ///< pages that stayed
};

/// Compacts all memory once (/proc/sys/vm/compact_memory).
Compacted compact(MemoryManager& memory);

}  // namespace quire
