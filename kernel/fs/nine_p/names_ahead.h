// What a directory of a stable tree knows of names before they are asked for.
//
// A program that reads a directory often asks for its entries one after the other (ls -l, find, du). Once the directory was listed and
// names are asked for in that order, the next few are looked up together with the one asked for, side by side; how many depends on how
// many of them were wanted last time.
//
// Life cycle: belongs to a directory inode, from its first listing until too many other directories were listed since. Its owner
// serialises it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fs/directory_listing.h"
#include "fs/nine_p/client.h"

namespace quire::kernel::nine_p {

class NamesAhead {
 public:
  explicit NamesAhead(RefPtr<DirectoryListing> listing) : listing_(std::move(listing)) {}
  [[nodiscard]] const RefPtr<DirectoryListing>& listing() const { return listing_; }

  struct Found {
    std::string name;
    Qid qid;
    FidHandle fid;
    Attributes attributes;
  };
  /// Takes out what is known of `name`, perhaps after asking the server for it and its successors. `fid` is unset if nothing is.
  Found take(Client& client, Fid directory, std::string_view name);

 private:
  /// How far a name may be behind the expected one: names that an overlay hides are not asked for.
  static constexpr unsigned kSkips = 4;

  /// Whether `name` comes next in the listing; the cursor then stands behind it.
  bool is_next(std::string_view name);
  void fetch(Client& client, Fid directory, std::string_view name);
  Found take_known(std::string_view name);

  RefPtr<DirectoryListing> listing_;
  DirectoryListing::Cursor expected_;
  std::vector<Found> known_;
  std::size_t window_ = 2;
};

}  // namespace quire::kernel::nine_p
