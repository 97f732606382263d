// File systems and where they are mounted.
//
// Life cycle: mounts are made at boot by mount_everything() and stay until drop_file_systems();
// nothing is mounted twice. A mount's root dentry takes the place of the name it covers in the
// dentry cache, with the same name and parent, so that walks need not look for mounts. Locks: the
// table changes only at boot and at the end, when one thread runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fs/dentry.h"
#include "fs/vfs.h"

namespace quire::kernel {

/// What statfs(2) reports. Blocks have `block_size` bytes.
struct FileSystemFigures {
  std::uint64_t magic = 0, block_size = 4096, blocks = 0, blocks_free = 0, blocks_available = 0;
  std::uint64_t files = 0, files_free = 0, name_length = 255;
};

/// One file system: a device number, a name for /proc/mounts, and what concerns all of it.
class FileSystem : public RefCounted {
 public:
  explicit FileSystem(std::string_view type);
  [[nodiscard]] const std::string& type() const { return type_; }
  /// st_dev of everything in it: an anonymous device number, major 0.
  [[nodiscard]] std::uint64_t device() const { return device_; }
  [[nodiscard]] virtual Result<FileSystemFigures> figures() = 0;
  virtual Result<void> sync() { return {}; }

 protected:
  ~FileSystem() override = default;

 private:
  std::string type_;
  std::uint64_t device_;
};

/// A file system without blocks: procfs.
class PseudoFileSystem final : public FileSystem {
 public:
  PseudoFileSystem(std::string_view type, std::uint64_t magic) : FileSystem(type), magic_(magic) {}
  Result<FileSystemFigures> figures() override { return FileSystemFigures{.magic = magic_}; }

 private:
  std::uint64_t magic_;
};

enum class MountAccess : std::uint8_t { kReadOnly, kReadWrite };

class Mount {
 public:
  Mount(RefPtr<FileSystem> file_system, std::string_view source, MountAccess access)
      : file_system_(std::move(file_system)), source_(source), access_(access) {}
  [[nodiscard]] FileSystem& file_system() const { return *file_system_; }
  [[nodiscard]] const std::string& source() const { return source_; }
  [[nodiscard]] bool is_read_only() const { return access_ == MountAccess::kReadOnly; }
  [[nodiscard]] Dentry& root() const { return *root_; }

 private:
  friend class MountTable;
  RefPtr<FileSystem> file_system_;
  std::string source_;
  MountAccess access_;
  RefPtr<Dentry> root_;
  RefPtr<Dentry> covered_;
};

/// All mounts, in the order they were made. There is one: mount_table().
class MountTable {
 public:
  /// Mounts a file system with this root directory at `where`, a directory; null: as the root of
  /// all.
  Result<RefPtr<Dentry>> mount(RefPtr<Dentry> where, std::unique_ptr<Mount> mount,
                               RefPtr<Inode> root);
  [[nodiscard]] const std::vector<std::unique_ptr<Mount>>& mounts() const { return mounts_; }
  /// The root of all. Pre: something was mounted.
  [[nodiscard]] RefPtr<Dentry> root() const;
  void drop();

 private:
  std::vector<std::unique_ptr<Mount>> mounts_;
};

MountTable& mount_table();

}  // namespace quire::kernel
