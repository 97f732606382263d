// madvise(MADV_REMOVE): pages of shared memory become a hole, for all who map it (Linux v6.12 mm/madvise.c:madvise_remove()).

#include "quire/object/memory_object.h"
#include "quire/space/address_space.h"

namespace quire {

namespace {

Result<void> remove_part(const Vma& part) {
  const bool is_of_file = part.label != nullptr && !part.label->name();
  if (part.flags.has_any(VmaFlag::kLocked | VmaFlag::kFixedSize) || (part.object == nullptr && !is_of_file)) return fail(Errno::kInval);
  if (!part.is_shared() || !part.flags.has(VmaFlag::kMayWrite)) return fail(Errno::kAcces);
  const PageCount count = part.range.pages();
  if (is_of_file) return part.label->punch(part.offset, count);
  part.object->punch(part.offset, PageIndex(part.offset.raw() + count.raw() - 1));
  return {};
}

}  // namespace

// Files work without the space's lock, as on Linux: each mapping is looked up as it is by then, and the map that it is in holds what it
// needs.
Result<void> AddressSpace::remove(VirtRange range) {
  bool has_hole = false;
  for (VirtAddr at = range.begin(); at < range.end();) {
    const VmaMap now = map();
    const Vma* const vma = now.first_ending_above(at);
    has_hole = has_hole || vma == nullptr || at < vma->range.begin();
    if (vma == nullptr || range.end() <= vma->range.begin()) break;
    const Vma part = vma->clipped(VirtRange(at, range.end()));
    QUIRE_CHECK(remove_part(part));
    at = part.range.end();
  }
  if (has_hole) return fail(Errno::kNoMem);
  return {};
}

}  // namespace quire
