// Memory that failed: its page is taken from all who map it, and its frame from the pool (Linux v6.12
// mm/memory-failure.c:memory_failure()).
//
// Every entry of the page becomes a poison entry, in place for all sharers; who touches one gets FaultOutcome::kBusError. A shared object
// keeps the page in its index, so that whoever maps it later gets the same. Who holds the page goes on doing so; the frame goes out of use
// when the last hold is gone. Poison entries go on counting as pages of their class until they are unmapped.
// A huge page that is taken from those who share it with its owner leaves the same entries behind.
// It does not know processes: telling those that have not touched the page is the caller's.
// Locks: none held. Allocates nothing.
#pragma once

#include "quire/memory_manager.h"

namespace quire {

/// The memory of frame `pfn` has failed. Free frames and pages go out of use.
/// Errors: EINVAL: no memory; EBUSY: a table or other memory of the system's own, the zero page, or a page just being moved: nothing is
///         done.
Result<void> poison_frame(MemoryManager& memory, Pfn pfn);

/// Leaves a private huge page to the one who maps it through `keeper`; all others find nothing there any more and get
/// FaultOutcome::kBusError (Linux v6.12 mm/hugetlb.c:unmap_ref_private()). Locks: a space's. Pre: the caller holds `page`.
void take_from_others(MemoryManager& memory, Frame& page, const Frame& keeper);

}  // namespace quire
