// The names in a directory in memory.
//
// Life cycle: belongs to a directory inode, which serialises everything here by
// MemoryFs::names_lock. Each entry keeps its inode; what an entry kept is handed to the caller, who
// drops it without the lock. An entry without an inode is a whiteout: the name is known not to
// exist, whatever a lower file system says. Entries have cookies, given in ascending order and
// never again, which are the positions of directory reads: a read goes on in the right place
// whatever was added or removed.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "fs/vfs.h"

namespace quire::kernel {

class NameTable {
 public:
  struct Entry {
    Entry(std::string_view n, RefPtr<Inode> i, std::uint64_t c)
        : name(n), inode(std::move(i)), cookie(c) {}
    [[nodiscard]] bool is_whiteout() const { return !inode; }
    const std::string name;
    RefPtr<Inode> inode;
    const std::uint64_t cookie;
    boost::intrusive::set_member_hook<> name_hook, cookie_hook;
    boost::intrusive::list_member_hook<> removal_hook;
  };
  /// Entries taken out of their tables, to be deleted by their owner.
  using Removed = boost::intrusive::list<
      Entry, boost::intrusive::member_hook<Entry, boost::intrusive::list_member_hook<>,
                                           &Entry::removal_hook>>;

  NameTable() = default;
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;
  /// Pre: the table is empty (remove_all()).
  ~NameTable() = default;

  [[nodiscard]] Entry* find_or_null(std::string_view name);
  /// The first entry with a cookie of at least `cookie`, or null.
  [[nodiscard]] Entry* from_cookie_or_null(std::uint64_t cookie);
  /// Sets what `name` is: an inode, or null for a whiteout. Returns what it was.
  [[nodiscard]] RefPtr<Inode> set(std::string_view name, RefPtr<Inode> inode);
  [[nodiscard]] RefPtr<Inode> erase(Entry& entry);
  /// What every later entry's cookie will be at least.
  [[nodiscard]] std::uint64_t next_cookie() const { return next_cookie_; }
  [[nodiscard]] std::uint64_t names() const { return names_; }  ///< whiteouts do not count
  /// Takes all entries out and appends them to `removed`.
  void remove_all(Removed& removed);

 private:
  struct ByName {
    using type = std::string_view;
    std::string_view operator()(const Entry& e) const { return e.name; }
  };
  struct ByCookie {
    using type = std::uint64_t;
    const type& operator()(const Entry& e) const { return e.cookie; }
  };
  using NameHook =
      boost::intrusive::member_hook<Entry, boost::intrusive::set_member_hook<>, &Entry::name_hook>;
  using CookieHook = boost::intrusive::member_hook<Entry, boost::intrusive::set_member_hook<>,
                                                   &Entry::cookie_hook>;

  boost::intrusive::set<Entry, NameHook, boost::intrusive::key_of_value<ByName>> by_name_;
  boost::intrusive::set<Entry, CookieHook, boost::intrusive::key_of_value<ByCookie>> by_cookie_;
  std::uint64_t next_cookie_ = 1;
  std::uint64_t names_ = 0;
};

}  // namespace quire::kernel
