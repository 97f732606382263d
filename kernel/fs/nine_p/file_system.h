// A 9p tree as a file system.
//
// Life cycle: made by mount(); lives while the mount or an inode names it. Inodes are
// nine_p/inode.h.
#pragma once

#include <boost/intrusive/list.hpp>
#include <string_view>

#include "fs/nine_p/client.h"

namespace quire::kernel::nine_p {

class Inode9p;

/// An inode's place among the directories whose listings are kept.
class ListedInode : public boost::intrusive::list_base_hook<> {
 private:
  friend class Listings;
  bool is_listed_ = false;
};

/// What may be remembered of the server's files.
enum class Sharing : std::uint8_t {
  kStable,  ///< read-only, and nobody changes it meanwhile: names and attributes are kept
  kShared,  ///< writable: names that exist are kept; attributes, contents and absence are asked for
            ///< each time
};

/// Which directories of a stable tree keep their listings: a few, those that were used last.
class Listings {
 public:
  static constexpr std::size_t kMost = 32;
  /// The listing of `inode` is being used. If there are too many, another goes. Pre: no inode's
  /// ahead_lock_ is held.
  void note_use(Inode9p& inode);
  /// `inode` goes.
  void forget(Inode9p& inode);

 private:
  /// Takes the one used least recently out: null if that is just going by itself.
  RefPtr<Inode9p> take_first_locked();

  SpinLock lock_;
  boost::intrusive::list<ListedInode> listed_;  ///< least recent first
};

class FileSystem9p final : public FileSystem {
 public:
  /// Connects; `root` is set to the root directory's inode.
  static Result<RefPtr<FileSystem9p>> mount(NinePTransport& transport, Sharing sharing,
                                            RefPtr<Inode>& root);
  FileSystem9p(RefPtr<Client> client, Sharing sharing);

  Result<FileSystemFigures> figures() override;
  Result<void> sync() override;
  [[nodiscard]] Client& client() const { return *client_; }
  [[nodiscard]] bool is_stable() const { return sharing_ == Sharing::kStable; }
  [[nodiscard]] Listings& listings() { return listings_; }

 private:
  RefPtr<Client> client_;
  Sharing sharing_;
  Listings listings_;
  FidHandle root_;  ///< for statfs
};

}  // namespace quire::kernel::nine_p
