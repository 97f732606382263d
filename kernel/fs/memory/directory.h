// A directory in memory.
//
// Life cycle: as any inode. Its names keep what they name; a removed directory is empty. The VFS
// holds the mutex of the directory (of both, for rename) over every operation here but attributes
// and open; reads of the open directory take it themselves. Overlay directories (fs/overlay/) add
// what is below: see the protected functions.
#pragma once

#include "fs/memory/name_table.h"
#include "fs/memory/node.h"

namespace quire::kernel {

class MemoryDirectory : public MemoryNode {
 public:
  MemoryDirectory(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid);

  Result<Attributes> attributes() override;
  Result<RefPtr<File>> open(std::uint32_t flags) override;
  Result<RefPtr<Inode>> lookup(std::string_view name) override;
  Result<RefPtr<Inode>> create(std::string_view name, std::uint32_t mode,
                               std::uint64_t rdev) override;
  Result<RefPtr<Inode>> symlink(std::string_view name, std::string_view target) override;
  Result<void> link(std::string_view name, Inode& target) override;
  Result<void> unlink(std::string_view name) override;
  Result<void> rmdir(std::string_view name) override;
  Result<void> rename(std::string_view name, Inode& new_parent, std::string_view new_name,
                      std::uint32_t flags) override;

  /// Hands every entry after the cookie `offset` to the sink, as File::read_directory().
  Result<void> list(std::uint64_t& offset,
                    bool (*sink)(void*, const DirectoryEntry&, std::uint64_t), void* context);
  /// A node without a name, owned by the caller and this directory's rules. Errors: ENOSPC.
  Result<RefPtr<MemoryNode>> make_node(std::uint32_t mode, std::uint64_t rdev);

 protected:
  /// A directory whose attributes come by load().
  explicit MemoryDirectory(RefPtr<MemoryFs> fs);
  ~MemoryDirectory() override;

  /// The name in what is below. ENOENT if there is no such thing: a directory in memory alone.
  virtual Result<RefPtr<Inode>> lookup_below(std::string_view /*name*/) {
    return fail(Errno::kNoEnt);
  }
  /// Whether there is something below; its size is then the directory's.
  [[nodiscard]] virtual bool has_below() const { return false; }
  /// Whether a removed name must be remembered as removed.
  virtual bool needs_whiteout(std::string_view /*name*/) { return false; }
  /// Errors: ENOTEMPTY.
  virtual Result<void> check_empty();
  /// A node of this file system's kind, nameless and uncharged.
  virtual RefPtr<MemoryNode> new_node(std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
                                      std::uint64_t rdev);

  enum class Known : std::uint8_t { kYes, kWhiteout, kNo };
  /// What the table says of a name; `inode` is set if kYes.
  Known find(std::string_view name, RefPtr<Inode>& inode);

  /// list() for a holder of the mutex: only entries whose cookie is below `end`.
  Result<void> list_locked(std::uint64_t& offset, std::uint64_t end,
                           bool (*sink)(void*, const DirectoryEntry&, std::uint64_t),
                           void* context);

  NameTable names_;

 private:
  /// The node of a name in the table. Errors: ENOENT; every name that an operation changes is in
  /// the table (Inode::before_rename()).
  Result<RefPtr<MemoryNode>> find_node(std::string_view name);
  /// Forgets a name; its node keeps its links.
  void remove_name(std::string_view name);
  void add_name(std::string_view name, RefPtr<Inode> node);
  Result<RefPtr<Inode>> add_new(std::string_view name, Result<RefPtr<MemoryNode>> node);
  Result<void> exchange(std::string_view name, MemoryDirectory& other, std::string_view other_name);
};

}  // namespace quire::kernel
