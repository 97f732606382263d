// Moving a page to another frame while processes use it (Linux v6.12 mm/migrate.c:migrate_pages()).
//
//   every entry becomes a migration entry → flush all → freeze the page at the count of nobody else → copy → every migration entry
//   becomes an entry of the new frame → wake who waited
//
// Entries are found through the page's object, also in shared tables, where they are changed in place for all sharers (S1.6). Until the
// page is frozen anything may be in the way: a pin, a pipe that holds it, an entry whose removal waits for a flush; then all entries become
// again what they were. A migration entry keeps the rights, flags and class of its leaf, has the leaf's place in all accounts, and holds
// the old frame: fork and unshare copy it, munmap and exit drop it, mprotect limits it. Faults that meet one wait
// (MemoryManager::wait_for_moves()).
//
// Locks: none held. Takes tables' locks one by one, the page's inside, the object's for its index. No lock of a space: those who hold one
// may wait for a move. Never allocates: the new frame is the caller's. Of two moves of one page each finds it held by the other.
#pragma once

#include "quire/base/errno.h"
#include "quire/frame/frame.h"
#include "quire/frame/frame_pool.h"
#include "quire/memory_manager.h"

namespace quire {

/// Moves the page in `from`, on which the caller has a reference, to the frame that `target` holds first. On success the frame is taken
/// from `target`, and the caller's reference on `from` is as good as before; its last holder frees it.
/// Errors: EBUSY: held by others than its entries, being moved, or failed; nothing has changed to anybody. EINVAL: no page that can be
///         moved.
Result<void> migrate_page(MemoryManager& memory, Frame& from, FrameReservation& target);

/// Moves whatever page is in frame `pfn` to any other frame. Returns which. Errors: as above; ENOMEM.
Result<Pfn> migrate_frame(MemoryManager& memory, Pfn pfn);

}  // namespace quire
