// A directory of the overlay: a directory in memory over one below, which it hides where it has
// something to say.
#pragma once

#include "fs/directory_listing.h"
#include "fs/memory/directory.h"
#include "fs/overlay/overlay_node.h"

namespace quire::kernel {

class OverlayDirectory final : public OverlayNode<MemoryDirectory> {
 public:
  /// One made in the overlay, with nothing below.
  OverlayDirectory(RefPtr<OverlayFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid);
  /// The directory `lower`, found as `name` in `directory` (null: it is the root).
  OverlayDirectory(RefPtr<OverlayDirectory> directory, std::string_view name, RefPtr<Inode> lower,
                   RefPtr<OverlayFs> fs);

  Result<RefPtr<File>> open(std::uint32_t flags) override;
  Result<void> lookup_ahead(std::span<const std::string_view> names,
                            std::vector<RefPtr<Inode>>& found) override;

  /// The names of both layers. Errors: what the directory below reports.
  Result<RefPtr<DirectoryListing>> merged();

 protected:
  Result<RefPtr<Inode>> lookup_below(std::string_view name) override;
  [[nodiscard]] bool has_below() const override { return static_cast<bool>(lower_); }
  bool needs_whiteout(std::string_view name) override;
  Result<void> check_empty() override;
  RefPtr<MemoryNode> new_node(std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
                              std::uint64_t rdev) override;

 private:
  friend class OverlayPlace;
  Result<RefPtr<Inode>> wrap(std::string_view name, RefPtr<Inode> lower);
  [[nodiscard]] bool hides(std::string_view name, std::uint64_t end_cookie);
  [[nodiscard]] std::uint64_t next_cookie();
  /// Calls visit(entry) for every name below that the table did not know when its next cookie was
  /// `end_cookie`, until it says kStop.
  enum class Next : std::uint8_t { kGoOn, kStop };
  template <typename Visit>
  Result<void> for_each_below(std::uint64_t end_cookie, Visit visit);
};

}  // namespace quire::kernel
