#include "kernel_fs/fixture.h"

#include <asm/unistd.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "fs/memory/memory_fs.h"
#include "fs/permission.h"

namespace quire::kernel::test {

RefPtr<Dentry> mount_root(RefPtr<FileSystem> fs, RefPtr<Inode> root) {
  auto mount = std::make_unique<Mount>(std::move(fs), "root", MountAccess::kReadWrite);
  return *mount_table().mount(nullptr, std::move(mount), std::move(root));
}

namespace {

FileInfo info_of(const std::string& path, int flags) {
  struct stat result = {};
  FileInfo out;
  out.error =
      static_cast<int>(-sys(__NR_newfstatat, static_cast<std::uint64_t>(AT_FDCWD),
                            arg(path.c_str()), arg(&result), static_cast<std::uint64_t>(flags)));
  if (out.error != 0) return out;
  out.mode = result.st_mode;
  out.uid = result.st_uid;
  out.gid = result.st_gid;
  out.inode = result.st_ino;
  out.links = result.st_nlink;
  out.size = static_cast<std::uint64_t>(result.st_size);
  out.modify_ns = result.st_mtim.tv_sec * 1'000'000'000 + result.st_mtim.tv_nsec;
  return out;
}

void expect_nothing_left() {
  EXPECT_EQ(dentry_cache().size(), 0U);
  EXPECT_EQ(pages_in_use(), 0);
}

}  // namespace

void MemoryRoot::SetUp() {
  RefPtr<MemoryFs> fs = make_memory_fs("tmpfs");
  RefPtr<Inode> root = make_memory_root(fs, 0755);
  leave_boot_identity();
  start_task(mount_root(fs, root));
}

void MemoryRoot::TearDown() {
  end_task();
  expect_nothing_left();
}

void OverlayRoot::start() {
  leave_boot_identity();
  RefPtr<Inode> lower;
  RefPtr<FileSystem> below = *nine_p::FileSystem9p::mount(server, nine_p::Sharing::kStable, lower);
  overlay = make_overlay_fs();
  start_task(mount_root(overlay, make_overlay_root(overlay, lower)));
}

void OverlayRoot::TearDown() {
  end_task();
  overlay = nullptr;
  expect_nothing_left();
  EXPECT_EQ(server.open_fids(), 0U);
}

Result<void> NinePRoot::start(nine_p::Sharing sharing) {
  leave_boot_identity();
  RefPtr<Inode> root;
  QUIRE_TRY(RefPtr<FileSystem> fs, nine_p::FileSystem9p::mount(server, sharing, root));
  start_task(mount_root(std::move(fs), std::move(root)));
  return {};
}

void NinePRoot::TearDown() {
  end_task();
  expect_nothing_left();
}

int open_file(const std::string& path, int flags, int mode) {
  return static_cast<int>(sys(__NR_openat, static_cast<std::uint64_t>(AT_FDCWD), arg(path.c_str()),
                              static_cast<std::uint64_t>(flags), static_cast<std::uint64_t>(mode)));
}

int close_file(int fd) { return static_cast<int>(sys(__NR_close, static_cast<std::uint64_t>(fd))); }

std::int64_t write_text(int fd, std::string_view text) {
  return sys(__NR_write, static_cast<std::uint64_t>(fd), arg(text.data()), text.size());
}

std::string read_text(int fd) {
  std::string text;
  std::vector<char> buffer(100'000);
  for (;;) {
    const std::int64_t n =
        sys(__NR_read, static_cast<std::uint64_t>(fd), arg(buffer.data()), buffer.size());
    if (n < 0) return "error " + std::to_string(-n);
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

int store(const std::string& path, std::string_view text, int flags) {
  const int fd = open_file(path, flags);
  if (fd < 0) return fd;
  const std::int64_t n = write_text(fd, text);
  close_file(fd);
  return static_cast<int>(n);
}

std::string load(const std::string& path) {
  const int fd = open_file(path, O_RDONLY);
  if (fd < 0) return "error " + std::to_string(-fd);
  std::string text = read_text(fd);
  close_file(fd);
  return text;
}

std::vector<std::string> list(const std::string& path) {
  std::vector<std::string> names;
  const int fd = open_file(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return {"error " + std::to_string(-fd)};
  char buffer[512];
  for (;;) {
    const std::int64_t n =
        sys(__NR_getdents64, static_cast<std::uint64_t>(fd), arg(buffer), sizeof buffer);
    if (n < 0) names.push_back("error " + std::to_string(-n));
    if (n <= 0) break;
    for (std::int64_t at = 0; at < n;) {
      std::uint16_t length = 0;
      std::memcpy(&length, buffer + at + 16, sizeof length);
      names.emplace_back(buffer + at + 19);
      at += length;
    }
  }
  close_file(fd);
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  std::ranges::sort(names);
  return names;
}

int make_directory(const std::string& path, int mode) {
  return static_cast<int>(sys(__NR_mkdir, arg(path.c_str()), static_cast<std::uint64_t>(mode)));
}
int unlink_file(const std::string& path) {
  return static_cast<int>(sys(__NR_unlink, arg(path.c_str())));
}
int remove_directory(const std::string& path) {
  return static_cast<int>(sys(__NR_rmdir, arg(path.c_str())));
}
int rename_file(const std::string& from, const std::string& to, unsigned flags) {
  constexpr auto kCwd = static_cast<std::uint64_t>(AT_FDCWD);
  return static_cast<int>(
      sys(__NR_renameat2, kCwd, arg(from.c_str()), kCwd, arg(to.c_str()), flags));
}
int link_file(const std::string& from, const std::string& to) {
  return static_cast<int>(sys(__NR_link, arg(from.c_str()), arg(to.c_str())));
}
int symlink_file(const std::string& target, const std::string& path) {
  return static_cast<int>(sys(__NR_symlink, arg(target.c_str()), arg(path.c_str())));
}
FileInfo info(const std::string& path) { return info_of(path, 0); }
FileInfo link_info(const std::string& path) { return info_of(path, AT_SYMLINK_NOFOLLOW); }

}  // namespace quire::kernel::test
