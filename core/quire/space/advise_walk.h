// What madvise and its relatives have in common (Linux v6.12 mm/madvise.c:madvise_walk_vmas()): they go through a range mapping by mapping.
// Holes are passed over and reported in the end; a mapping that refuses ends it, with what came before it done. Running out of memory is no
// such error: it changes nothing (I12).
#pragma once

#include "quire/base/errno.h"
#include "quire/base/types.h"
#include "quire/vma/vma_map.h"

namespace quire {

/// The pages that raw arguments mean. Errors: EINVAL.
[[nodiscard]] Result<VirtRange> advised_pages(VirtAddr address, ByteCount length);

/// A map changed mapping by mapping, to be installed by whoever asked.
class AdviseWalk {
 public:
  AdviseWalk(const VmaMap& map, VirtRange range) : map_(map), changed_(map), range_(range), done_(range.begin()) {}

  /// Calls `change(part)` with the part of each mapping in the range, for it to alter or leave; what it fails with refuses. Errors: ENOMEM.
  template <typename Change>
  Result<void> run(Change change) {
    for (const Vma& vma : map_.overlapping(range_)) {
      const Vma before = vma.clipped(range_);
      Vma part = before;
      if (result_ = change(part); !result_) return {};
      has_hole_ = has_hole_ || done_ < part.range.begin();
      done_ = part.range.end();
      if (part.flags == before.flags && part.label == before.label && part.handler == before.handler) continue;
      QUIRE_CHECK(changed_.erase_range(part.range));
      QUIRE_CHECK(changed_.insert_merging(part));
    }
    has_hole_ = has_hole_ || done_ < range_.end();
    if (has_hole_) result_ = fail(Errno::kNoMem);
    return {};
  }
  /// What has been gone through.
  [[nodiscard]] VirtRange done() const { return VirtRange(range_.begin(), done_); }
  /// What the call answers.
  [[nodiscard]] Result<void> result() const { return result_; }
  [[nodiscard]] VmaMap& changed() { return changed_; }
  [[nodiscard]] bool exceeds(std::uint64_t max_map_count) const { return changed_.size() > map_.size() && changed_.size() > max_map_count; }

 private:
  const VmaMap& map_;
  VmaMap changed_;
  VirtRange range_;
  VirtAddr done_;
  bool has_hole_ = false;
  Result<void> result_{};
};

}  // namespace quire
