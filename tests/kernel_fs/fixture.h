// A task over a file system of the test's choice.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fs/mount.h"
#include "fs/nine_p/file_system.h"
#include "fs/overlay/overlay_fs.h"
#include "kernel_fs/machine.h"
#include "kernel_fs/nine_p_server.h"

namespace quire::kernel::test {

/// Mounts `root` at the root of an otherwise empty name space.
RefPtr<Dentry> mount_root(RefPtr<FileSystem> fs, RefPtr<Inode> root);

/// A root in memory.
class MemoryRoot : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
};

/// An overlay over what `server` has; start() mounts it.
class OverlayRoot : public ::testing::Test {
 protected:
  void start();
  void TearDown() override;
  NinePServer server;
  RefPtr<OverlayFs> overlay;
};

/// A 9p root, shared and writable, or stable and read-only.
class NinePRoot : public ::testing::Test {
 protected:
  Result<void> start(nine_p::Sharing sharing);
  void TearDown() override;
  NinePServer server;
};

// System calls as short as tests want them. Negative: −errno.
int open_file(const std::string& path, int flags, int mode = 0644);
int close_file(int fd);
std::int64_t write_text(int fd, std::string_view text);
/// All there is from the position on.
std::string read_text(int fd);
/// open, write all, close.
int store(const std::string& path, std::string_view text, int flags);
/// open, read all, close; "error N" if that fails.
std::string load(const std::string& path);
/// Names but for "." and "..", sorted.
std::vector<std::string> list(const std::string& path);
int make_directory(const std::string& path, int mode = 0755);
int unlink_file(const std::string& path);
int remove_directory(const std::string& path);
int rename_file(const std::string& from, const std::string& to, unsigned flags = 0);
int link_file(const std::string& from, const std::string& to);
int symlink_file(const std::string& target, const std::string& path);
struct FileInfo {
  int error = 0;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::uint64_t inode = 0, links = 0, size = 0;
  std::int64_t modify_ns = 0;
};
FileInfo info(const std::string& path);
FileInfo link_info(const std::string& path);

}  // namespace quire::kernel::test
