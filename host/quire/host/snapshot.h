// A checkpoint of an address space: a fork without a process. Taking and restoring cost the same
// whatever the size.
//
// Life cycle: take() copies the space as it is; restore() makes a space into what it was, as often
// as wanted; dropping the snapshot gives its memory back. What others see too is not rolled back:
// the contents of MAP_SHARED mappings (requirements X13). While a snapshot exists, the first write
// to each page copies it, as after a fork.
#pragma once

#include <memory>
#include <type_traits>

#include "quire/base/errno.h"
#include "quire/base/types.h"
#include "quire/host/space.h"

namespace quire {

class Cpu;

class Snapshot {
 public:
  /// Errors: ENOMEM; EINVAL for an empty handle.
  [[nodiscard]] static Result<Snapshot> take(const Space& space);
  Snapshot(Snapshot&&) noexcept = default;
  Snapshot& operator=(Snapshot&&) noexcept = default;

  /// Lets `space` be what it was when the snapshot was taken. Other handles to the old space keep
  /// that. Errors: ENOMEM; `space` unchanged.
  [[nodiscard]] Result<void> restore(Space& space) const;
  /// The same, and `cpu` runs the restored space.
  [[nodiscard]] Result<void> restore(Space& space, Cpu& cpu) const;

  /// The space as it was; not to be run or changed.
  [[nodiscard]] const Space& space() const { return space_; }

 private:
  explicit Snapshot(Space space) : space_(std::move(space)) {}
  Space space_;
};

/// Calls `visit(VirtAddr page)` in ascending order for each private page of `now` whose frame is
/// another than at the time of `since`: those written (or discarded) meanwhile. Never-written pages
/// count as one and the same page of zeros. Subtrees still shared with the snapshot are skipped, so
/// the cost follows the changes (X16). Pages of MAP_SHARED mappings appear only if first touched
/// since. Pre: no thread changes either space meanwhile; both are of one machine.
template <typename Visit>
void for_each_changed_page(const Snapshot& since, const Space& now, Visit visit);

namespace detail {
using PageVisitor = void (*)(void* context, VirtAddr page);
void for_each_changed_page(AddressSpace& since, AddressSpace& now, PageVisitor visitor,
                           void* context);
}  // namespace detail

template <typename Visit>
void for_each_changed_page(const Snapshot& since, const Space& now, Visit visit) {
  if (!now) return;
  detail::for_each_changed_page(
      *since.space(), *now,
      [](void* context, VirtAddr page) { (*static_cast<Visit*>(context))(page); },
      std::addressof(visit));
}

}  // namespace quire
