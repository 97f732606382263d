// Inodes in memory that have no contents of their own: symbolic links, devices, named pipes,
// sockets.
#pragma once

#include <string>
#include <string_view>

#include "fs/memory/node.h"
#include "ipc/pipe.h"

namespace quire::kernel {

class MemorySymlink : public MemoryNode {
 public:
  MemorySymlink(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid)
      : MemoryNode(std::move(fs), mode, uid, gid, 0) {}
  /// Before it gets a name; does not change afterwards.
  void set_target(std::string_view target);
  Result<std::string> read_link() override { return target_; }
  /// A link is followed, not opened: only O_PATH comes this far, and needs no more.
  Result<RefPtr<File>> open(std::uint32_t) override { return fail(Errno::kLoop); }

 protected:
  explicit MemorySymlink(RefPtr<MemoryFs> fs);

 private:
  std::string target_;
};

/// A device file, named pipe or socket. Device files are opened by their number (fs/devices.h),
/// pipes by open_fifo().
class MemorySpecial : public MemoryNode {
 public:
  MemorySpecial(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
                std::uint64_t rdev)
      : MemoryNode(std::move(fs), mode, uid, gid, rdev) {}
  Result<RefPtr<File>> open(std::uint32_t) override { return fail(Errno::kNxIo); }
  FifoState* fifo() override;

 protected:
  MemorySpecial(RefPtr<MemoryFs> fs, std::uint32_t type) : MemoryNode(std::move(fs), type) {}

 private:
  FifoState fifo_;
};

}  // namespace quire::kernel
