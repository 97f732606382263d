// What all inodes in memory have: attributes that are plain values.
//
// Life cycle: made by a directory of the same file system; lives while a name, a dentry or an open
// file keeps it. Attributes have a spin lock of their own, so that reading them needs no mutex.
// Overlay nodes (fs/overlay/) fetch theirs from below at first use.
#pragma once

#include <cstdint>
#include <memory>

#include "fs/extended_attributes.h"
#include "fs/memory/memory_fs.h"
#include "fs/vfs.h"

namespace quire::kernel {

class MemoryNode : public Inode {
 public:
  Result<Attributes> attributes() override;
  Result<void> set_attributes(const AttributeChange& change) override;
  Result<std::uint32_t> type() override { return type_; }
  ExtendedAttributes* extended_attributes() override;

  /// One name more or less. Pre: the directory's mutex is held.
  void add_link();
  void drop_link();

  [[nodiscard]] MemoryFs& fs() const { return *fs_; }

 protected:
  /// A new node: attributes from `mode` (with S_IFMT bits) and owner, times now, one link (two for
  /// a directory). Charges no inode; see MemoryDirectory::create().
  MemoryNode(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
             std::uint64_t rdev);
  /// A node whose attributes come later, by load().
  MemoryNode(RefPtr<MemoryFs> fs, std::uint32_t type);
  ~MemoryNode() override;

  /// The attributes of a node that has none yet.
  virtual Result<Attributes> load() { return fail(Errno::kIo); }
  /// Called once with what load() said, before anybody sees it. Locks: a spin lock is held.
  virtual void on_loaded(const Attributes&) {}
  /// The attributes are about to change for good; an overlay node makes itself known to its
  /// directory.
  virtual Result<void> before_change() { return {}; }
  /// Cuts or extends the contents. Called with the mutex held. Errors: EINVAL for what has no size.
  virtual Result<void> resize(std::uint64_t) { return fail(Errno::kInval); }
  /// Space in 512-byte blocks.
  [[nodiscard]] virtual std::uint64_t blocks() const { return 0; }
  /// The last link is gone.
  virtual void on_unlinked() {}

  Result<void> ensure_loaded();
  enum class Touch : std::uint8_t { kAccess, kModify, kChange };
  /// Sets times to now: access time by the rule of relatime; modification and change time together;
  /// change time alone.
  void touch(Touch what);
  [[nodiscard]] std::uint64_t size();
  void set_size(std::uint64_t size);
  /// Clears set-user-ID and set-group-ID after a write by somebody else than root. Linux v6.12
  /// fs/attr.c:should_remove_suid().
  void drop_privileges();

 private:
  friend class MemoryDirectory;

  const RefPtr<MemoryFs> fs_;
  const std::uint32_t type_;
  bool is_charged_ = false;
  std::atomic<bool> is_loaded_;
  SpinLock attributes_lock_;
  Attributes attributes_;
  std::unique_ptr<ExtendedAttributes> extended_;  ///< guarded by the mutex; null: none yet
};

}  // namespace quire::kernel
