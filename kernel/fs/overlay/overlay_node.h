// What overlay nodes of all types have in common: the inode below, and the place in the tree until
// they are pinned (overlay_fs.h).
#pragma once

#include <string>
#include <string_view>

#include "fs/memory/node.h"
#include "fs/overlay/overlay_fs.h"

namespace quire::kernel {

class OverlayDirectory;

/// Where a node that is not pinned was found. Empty for pinned nodes and for those that were made
/// in the overlay.
class OverlayPlace {
 public:
  OverlayPlace() = default;
  OverlayPlace(RefPtr<OverlayDirectory> directory, std::string_view name);
  ~OverlayPlace();
  /// Enters `self` in its directory's table, and the directory in its own, up to one that is
  /// pinned. Locks: MemoryFs::names_lock.
  void pin(MemoryNode& self);

 private:
  RefPtr<OverlayDirectory> directory_;  ///< guarded by names_lock
  const std::string name_;
};

/// `Base` is the node in memory that this one is once it differs from below.
template <typename Base>
class OverlayNode : public Base {
 protected:
  /// A node made in the overlay.
  template <typename... Args>
  explicit OverlayNode(RefPtr<OverlayFs> fs, Args&&... args)
      : Base(std::move(fs), std::forward<Args>(args)...) {}
  /// What `name` in `directory` is below.
  template <typename... Args>
  OverlayNode(RefPtr<OverlayDirectory> directory, std::string_view name, RefPtr<Inode> lower,
              RefPtr<OverlayFs> fs, Args&&... args)
      : Base(std::move(fs), std::forward<Args>(args)...),
        place_(std::move(directory), name),
        lower_(std::move(lower)) {}

  Result<Attributes> load() override { return lower_->attributes(); }
  Result<void> before_change() override {
    place_.pin(*this);
    return {};
  }
  Result<void> before_rename() override { return before_change(); }
  [[nodiscard]] OverlayFs& overlay() const { return static_cast<OverlayFs&>(this->fs()); }

  OverlayPlace place_;
  /// Null for nodes made in the overlay.
  RefPtr<Inode> lower_;
};

}  // namespace quire::kernel
