// The memory manager of one machine: frames, the pools cut from them, the zero objects, the counters.
//
// Life cycle: the platform places one over its physical memory (init), and lets it go when every address space is gone.
// Everything that core allocates comes from `pool()`; there is no other heap.
#pragma once

#include <cstdint>

#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/types.h"
#include "quire/frame/frame.h"
#include "quire/frame/frame_pool.h"
#include "quire/platform.h"
#include "quire/slab/slab.h"
#include "quire/stats/counters.h"
#include "quire/zero/zero.h"

namespace quire {

/// What the platform hands over.
struct MemoryConfig {
  Geometry geometry = Geometry::x86_64();
  platform::Machine* machine = nullptr;
  /// Where frame 0's contents are seen; frame n is at window + n × 4096. Only usable frames are ever touched.
  std::byte* window = nullptr;
  /// Descriptors of frames 0 … frames−1, zero-filled; the platform provides the memory (64 bytes each).
  Frame* descriptors = nullptr;
  PageCount frames;
  /// Frames kept for the kernel's own needs: user allocations fail while fewer are free.
  PageCount kernel_reserve{0};
  /// Hosted measuring only: contents of data frames are neither cleared nor copied, so that terabytes can be mapped.
  bool metadata_only = false;
  /// S3.10: read faults give private frames instead of the zero page and zero tables.
  bool zero_page = true;
};
