// What the platform keeps per address space in order to flush it: who runs it, and a generation for those who do not.
//
// Life cycle: embedded in an AddressSpace. The platform alone writes it, except for the generation's initial value.
// It does not know what is cached where; that is the platform's.
#pragma once

#include <atomic>
#include <cstdint>

#include "quire/base/types.h"

namespace quire {

/// Flush state of one address space.
struct TlbContext {
  /// Unique for ever: a PCID or simulated tag that was reused is recognised by it.
  std::uint64_t id = 0;
  /// The root table's frame.
  Pfn root;
  /// Raised by every flush. A CPU that switches to this context with translations of an older generation drops them all.
  std::atomic<std::uint64_t> generation{1};
  /// Bit n: CPU n runs this context now and must be told.
  std::atomic<std::uint64_t> running{0};
};

/// What to flush. Upper entries changed too unless `leaves_only`: then paging-structure caches go as well (S0.30, S0.46).
struct FlushRequest {
  enum class Depth : std::uint8_t { kLeavesOnly, kTablesToo };
  VirtRange range;
  Depth depth = Depth::kTablesToo;
};

}  // namespace quire
