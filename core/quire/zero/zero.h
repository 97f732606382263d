// Zero is a kind: one zero frame and one zero table per level below the root, immortal, uncounted, never writable (I13, X5).
//
// A read of untouched private memory maps the zero frame, or, where one mapping covers a whole span, a zero table: 2 MiB or 1 GiB at
// once, with no frame, no count and no shared line written. They are told by identity: their frames are neighbours.
#pragma once

#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/types.h"

namespace quire {

class MemoryManager;

class ZeroObjects {
 public:
  /// Makes them. Errors: ENOMEM.
  Result<void> init(MemoryManager& memory);

  [[nodiscard]] Pfn frame() const { return base_; }
  /// The zero table of `level`, 1 … root−1.
  [[nodiscard]] Pfn table(Level level) const { return base_ + PageCount(level.raw()); }
  [[nodiscard]] bool is_zero(Pfn pfn) const { return pfn.raw() - base_.raw() < count_; }
  /// How many frames they are: they never come back to the pool.
  [[nodiscard]] PageCount count() const { return PageCount(count_); }

 private:
  Pfn base_;
  std::uint64_t count_ = 0;
};

}  // namespace quire
