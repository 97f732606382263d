// A 9p tree as a file system.
//
// Life cycle: made by mount(); lives while the mount or an inode names it. Inodes are
// nine_p/inode.h.
#pragma once

#include <boost/intrusive/list.hpp>
#include <string_view>

#include "fs/memory/page_store.h"
#include "fs/nine_p/client.h"

namespace quire::kernel::nine_p {

class Inode9p;

/// An inode's place in the data cache.
class CachedInode : public boost::intrusive::list_base_hook<> {
 private:
  friend class DataCache;
  enum class List : std::uint8_t { kNone, kByUse, kListed } list_ = List::kNone;
};

/// What may be remembered of the server's files.
enum class Sharing : std::uint8_t {
  kStable,  ///< read-only, and nobody changes it meanwhile: names, attributes and contents are kept
  kShared,  ///< writable: names that exist are kept; attributes, contents and absence are asked for
            ///< each time
};

/// Contents of files of a stable tree, within a budget, and listings of a few directories. What was
/// used least recently goes first.
class DataCache : public boost::intrusive::list_base_hook<> {
 public:
  static constexpr std::size_t kMaxListings = 32;
  explicit DataCache(std::uint64_t max_pages);
  ~DataCache();
  [[nodiscard]] PageBudget& budget() { return budget_; }
  /// `inode` is being read. If the budget is nearly used up, others give some back. Pre: no inode's
  /// mutex is held.
  void note_use(Inode9p& inode);
  /// The listing of `inode` is being used. If there are too many, another goes. Pre: no inode's
  /// ahead_lock_ is held.
  void note_listing(Inode9p& inode);
  /// Drops the contents of all files that nobody is just reading. Returns how many pages that were.
  std::uint64_t drop_contents();
  /// `inode` goes.
  void forget(Inode9p& inode);

 private:
  using List = boost::intrusive::list<CachedInode>;
  /// Takes the least recent of `list` out of it: null if that is just going by itself.
  RefPtr<Inode9p> take_first_locked(List& list);
  void move_to_end_locked(Inode9p& inode, List& list, CachedInode::List which);

  PageBudget budget_;
  SpinLock lock_;
  boost::intrusive::list<CachedInode> by_use_,
      listed_;  ///< files and directories; least recent first
};

class FileSystem9p final : public FileSystem {
 public:
  /// Connects; `root` is set to the root directory's inode.
  static Result<RefPtr<FileSystem9p>> mount(NinePTransport& transport, Sharing sharing,
                                            RefPtr<Inode>& root);
  FileSystem9p(RefPtr<Client> client, Sharing sharing, std::uint64_t cache_pages);

  Result<FileSystemFigures> figures() override;
  [[nodiscard]] Client& client() const { return *client_; }
  [[nodiscard]] bool is_stable() const { return sharing_ == Sharing::kStable; }
  [[nodiscard]] DataCache& cache() { return cache_; }

 private:
  RefPtr<Client> client_;
  Sharing sharing_;
  DataCache cache_;
  FidHandle root_;  ///< for statfs
};

}  // namespace quire::kernel::nine_p
