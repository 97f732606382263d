// What a fault gathers when it cannot be resolved at once (fault.cc).
#pragma once

#include "quire/frame/frame_pool.h"
#include "quire/space/address_space.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

/// What most faults do without: what was reserved for one, and what it holds until it is over.
struct FaultSupplies {
  explicit FaultSupplies(AddressSpace& space) : pool(space.memory().pool()), tables(pool), attachments(space.memory()), gather(space) {}
  ~FaultSupplies() { drop_object_page(); }
  void drop_object_page() {
    if (object_page == nullptr) return;
    if (object_page->put()) pool.give(object_page);
    object_page = nullptr;
    for (unsigned n = 0; n < around_count; ++n) {
      if (around[n] != nullptr && around[n]->put()) pool.give(around[n]);
    }
    around_count = 0;
  }
  FaultSupplies(const FaultSupplies&) = delete;
  FaultSupplies& operator=(const FaultSupplies&) = delete;

  FramePool& pool;
  FrameReservation tables;
  AttachmentReservation attachments;
  std::uint32_t wanted_attachments = 0;  ///< if kNeedsAttachments
  std::uint32_t seen_moves = 0;          ///< if kMoving
  Frame* object_page = nullptr;
  static constexpr std::uint64_t kAround = 16;
  Frame* around[kAround];                ///< neighbours of object_page that are in memory; the first around_count
  unsigned around_count = 0, around_slot = 0;
  bool was_read = false;                 ///< it had to be waited for
  bool took_back = false;                ///< a huge page, from those who shared it
  bool replacing = false;
  Entry leaf_entry;  ///< if `replacing`
  Entry flushed_for;
  Gather gather;
};

}  // namespace quire
