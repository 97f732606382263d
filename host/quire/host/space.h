// An owning handle to an address space, for users of the library: no acquire() and release() by
// hand.
//
// Life cycle: made by Machine::create_space() or fork(); move it, or share() it; the last handle
// gone, the space is torn down. A handle must not outlive its Machine. It adds no rules of its own:
// everything else is AddressSpace's interface, through operator->.
#pragma once

#include <utility>

#include "quire/base/errno.h"
#include "quire/space/address_space.h"

namespace quire {

class Space {
 public:
  Space() = default;
  /// Takes over one user of `space`.
  explicit Space(AddressSpace* space) : space_(space) {}
  Space(Space&& other) noexcept : space_(std::exchange(other.space_, nullptr)) {}
  Space& operator=(Space&& other) noexcept {
    if (this != &other) {
      reset();
      space_ = std::exchange(other.space_, nullptr);
    }
    return *this;
  }
  ~Space() { reset(); }

  /// A second handle to the same space.
  [[nodiscard]] Space share() const {
    if (space_ != nullptr) space_->acquire();
    return Space(space_);
  }
  /// A copy-on-write child: see AddressSpace::fork(). Errors: ENOMEM; EINVAL for an empty handle.
  [[nodiscard]] Result<Space> fork() const {
    if (space_ == nullptr) return quire::fail(Errno::kInval);
    QUIRE_TRY(AddressSpace * child, space_->fork());
    return Space(child);
  }
  [[nodiscard]] Result<Space> fork(ForkMode mode) const {
    if (space_ == nullptr) return quire::fail(Errno::kInval);
    QUIRE_TRY(AddressSpace * child, space_->fork(mode));
    return Space(child);
  }
  void reset() {
    if (space_ != nullptr) std::exchange(space_, nullptr)->release();
  }

  [[nodiscard]] explicit operator bool() const { return space_ != nullptr; }
  [[nodiscard]] AddressSpace* get() const { return space_; }
  AddressSpace* operator->() const { return space_; }
  AddressSpace& operator*() const { return *space_; }

 private:
  AddressSpace* space_ = nullptr;
};

}  // namespace quire
