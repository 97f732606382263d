// Names of anonymous memory (Linux v6.12 mm/madvise.c:madvise_set_anon_name(), man7 PR_SET_VMA(2const)).

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/space/advise_walk.h"
#include "quire/vma/anon_name.h"

namespace quire {

Result<void> AddressSpace::set_name(VirtAddr address, ByteCount length, std::optional<std::string_view> name) {
  if (name && !AnonName::is_valid(*name)) return fail(Errno::kInval);
  QUIRE_TRY(const VirtRange range, advised_pages(address, length));
  if (range.empty()) return {};
  AnonName* label = nullptr;
  if (name) {
    label = memory_.anon_names().make_or_null(memory_, *name);
    if (label == nullptr) return fail(Errno::kNoMem);
  }
  const Result<void> result = set_label(range, label);
  if (label != nullptr) label->release();
  return result;
}

Result<void> AddressSpace::set_label(VirtRange range, VmaLabel* label) {
  ExclusiveGuard guard(lock_);
  if (!adopt_locked(range)) return fail(Errno::kAgain);
  AdviseWalk walk(map_, range);
  const Result<void> walked = walk.run([label](Vma& part) -> Result<void> {
    if (part.label != nullptr && !part.label->name()) return fail(Errno::kBadF);
    if (!VmaLabel::same(part.label, label)) part.label = label;
    return {};
  });
  if (!walked || walk.exceeds(limits_.max_map_count)) return fail(Errno::kAgain);
  commit_map(std::move(walk.changed()), walk.done());
  return walk.result();
}

}  // namespace quire
