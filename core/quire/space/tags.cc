// Tags of mappings: which private mappings have, or had, pages of their own, and since when (AnonTag).
//
// A fork copies no mapping, so it cannot give the child's mappings tags of their own, as Linux does: the child's map remembers when it was
// made, takes all older tags for copies, each of them different, and gives such a mapping a tag of its own when it is about to be cut or
// changed.

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"

namespace quire {

Result<void> AddressSpace::tag(VirtAddr address) {
  ExclusiveGuard guard(lock_);
  const Vma* vma = map_.find(address);
  if (vma == nullptr || !vma->anon.is_none()) return {};
  Vma tagged = *vma;
  tagged.anon = map_.tag_for(tagged);
  return map_.replace(tagged.range.begin(), tagged);
}

Result<void> AddressSpace::adopt_locked(VirtRange range) {
  for (VirtAddr at = range.begin(); at < range.end();) {
    const Vma* vma = map_.first_ending_above(at);
    if (vma == nullptr || !vma->range.overlaps(range)) break;
    at = vma->range.end();
    if (!map_.is_inherited(*vma)) continue;
    Vma own = *vma;
    own.anon = AnonTag::of_copy(memory_.next_id());
    QUIRE_CHECK(map_.replace(own.range.begin(), own));
  }
  return {};
}

Result<void> AddressSpace::adopt_edges_locked(VirtRange range) {
  for (const VirtAddr edge : {range.begin(), range.end()}) {
    const Vma* vma = map_.find(edge);
    if (vma != nullptr && vma->range.begin() < edge) QUIRE_CHECK(adopt_locked(VirtRange(edge, ByteCount(kPageSize))));
  }
  return {};
}

}  // namespace quire
