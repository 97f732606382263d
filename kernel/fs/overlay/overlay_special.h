// Symbolic links, devices, named pipes and sockets of the overlay. A device or pipe below is one of
// this machine, not of the host.
#pragma once

#include "fs/memory/special.h"
#include "fs/overlay/overlay_node.h"

namespace quire::kernel {

class OverlaySymlink final : public OverlayNode<MemorySymlink> {
 public:
  OverlaySymlink(RefPtr<OverlayFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid)
      : OverlayNode(std::move(fs), mode, uid, gid) {}
  OverlaySymlink(RefPtr<OverlayDirectory> directory, std::string_view name, RefPtr<Inode> lower,
                 RefPtr<OverlayFs> fs)
      : OverlayNode(std::move(directory), name, std::move(lower), std::move(fs)) {}
  Result<std::string> read_link() override {
    return lower_ ? lower_->read_link() : MemorySymlink::read_link();
  }
};

class OverlaySpecial final : public OverlayNode<MemorySpecial> {
 public:
  OverlaySpecial(RefPtr<OverlayFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
                 std::uint64_t rdev)
      : OverlayNode(std::move(fs), mode, uid, gid, rdev) {}
  OverlaySpecial(RefPtr<OverlayDirectory> directory, std::string_view name, RefPtr<Inode> lower,
                 RefPtr<OverlayFs> fs, std::uint32_t type)
      : OverlayNode(std::move(directory), name, std::move(lower), std::move(fs), type) {}
};

}  // namespace quire::kernel
