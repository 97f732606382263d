// A file of a 9p tree.
//
// Life cycle: made by a lookup or creation in its directory; drops its fid when nothing names or
// opens it. In a stable tree a walk over several names gives a fid only for the last; the inodes
// between have none until they need one, and keep their directory and name to get it. In a shared
// tree every inode has its fid from the start, and the server keeps fids right when files are
// renamed.
//
// Locks: `state_lock_` guards the fid, the attributes and the link's target, and is held over the
// calls that fetch them. It is taken inside the VFS's mutex of the same inode, and a child's before
// its directory's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "fs/nine_p/file_system.h"
#include "fs/nine_p/names_ahead.h"
#include "ipc/pipe.h"

namespace quire::kernel::nine_p {

class Inode9p final : public Inode, public ListedInode {
 public:
  Inode9p(RefPtr<FileSystem9p> fs, RefPtr<Inode9p> directory, std::string_view name, const Qid& qid,
          FidHandle fid);

  Result<Attributes> attributes() override;
  Result<void> set_attributes(const AttributeChange& change) override;
  Result<std::uint32_t> type() override;
  Result<RefPtr<File>> open(std::uint32_t flags) override;
  Result<std::string> read_link() override;
  Result<RefPtr<Inode>> lookup(std::string_view name) override;
  Result<void> lookup_ahead(std::span<const std::string_view> names,
                            std::vector<RefPtr<Inode>>& found) override;
  Result<RefPtr<Inode>> create(std::string_view name, std::uint32_t mode,
                               std::uint64_t rdev) override;
  Result<RefPtr<Inode>> symlink(std::string_view name, std::string_view target) override;
  Result<void> link(std::string_view name, Inode& target) override;
  Result<void> unlink(std::string_view name) override;
  Result<void> rmdir(std::string_view name) override;
  Result<void> rename(std::string_view name, Inode& new_parent, std::string_view new_name,
                      std::uint32_t flags) override;
  [[nodiscard]] bool cacheable() const override {
    return !is_stale_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool caches_absence() const override { return fs_->is_stable(); }
  FifoState* fifo() override;

  [[nodiscard]] FileSystem9p& fs() const { return *fs_; }
  /// What the file is known by on the server, whatever its name.
  [[nodiscard]] std::uint64_t number() const { return qid_.path; }
  [[nodiscard]] Client& client() const { return fs_->client(); }
  /// The fid, which a call may get only now.
  Result<Fid> fid();
  /// A fid of its own for an open file.
  Result<FidHandle> open_fid(std::uint32_t flags);
  /// The file has been written up to there. For when it has no name left to ask the server by.
  void note_end(std::uint64_t end);
  /// All names in this directory. Kept for a while in a stable tree.
  Result<RefPtr<DirectoryListing>> listing();

 private:
  friend class Listings;
  ~Inode9p() override;

  Result<Attributes> attributes_locked();
  Result<void> accept_attributes(const Attributes& fresh);
  Result<Fid> fid_locked();
  [[nodiscard]] bool is_directory() const { return (qid_.type & Qid::kDirectory) != 0; }
  RefPtr<Inode9p> make_child(std::string_view name, const Qid& qid, FidHandle fid);
  /// The child of that name if it was looked up ahead, now or before.
  RefPtr<Inode9p> take_ahead(std::string_view name);
  Result<RefPtr<DirectoryListing>> fetch_listing();
  /// Errors: EROFS.
  Result<void> check_writable() const;
  Result<RefPtr<Inode>> after_creation(std::string_view name, Result<void> made);
  std::uint32_t group_for_new() const;

  const RefPtr<FileSystem9p> fs_;
  RefPtr<Inode9p> directory_;  ///< stable trees only
  const std::string name_;
  const Qid qid_;
  Mutex state_lock_;
  FidHandle fid_;
  std::optional<Attributes> attributes_;
  std::optional<std::string> target_;
  bool is_opened_ = false;  ///< fid_ is open for reading (regular files of stable trees)
  std::atomic<bool> is_stale_{false};
  Mutex ahead_lock_;              ///< inside state_lock_ of nobody
  std::unique_ptr<NamesAhead> ahead_;
  std::unique_ptr<FifoState> fifo_;
};

}  // namespace quire::kernel::nine_p
