// The bytes of a file in memory: a sparse array of pages.
//
// Life cycle: belongs to an inode, whose mutex serialises everything here. Pages are found by index in a tree of groups of 64; what is
// not there is a hole. Pages are frames of the machine and are charged to a budget, which is how a file system
// has a size. The store does not know how long the file is.
#pragma once

#include <atomic>
#include <array>
#include <cstddef>
#include <cstdint>

#include <boost/intrusive/set.hpp>

#include "quire/base/types.h"

namespace quire::kernel {

/// How many pages some files may have together. Counts; allocates nothing.
class PageBudget {
 public:
  explicit PageBudget(std::uint64_t limit) : limit_(limit) {}
  /// Whether `pages` more are granted.
  [[nodiscard]] bool try_charge(std::uint64_t pages);
  void uncharge(std::uint64_t pages) { used_.fetch_sub(pages, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t limit() const { return limit_; }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

class PageStore {
 public:
  using Page = std::byte*;
  static constexpr std::uint64_t kEnd = ~std::uint64_t{0};

  explicit PageStore(PageBudget& budget) : budget_(budget) {}
  ~PageStore() { erase_range(0, kEnd); }
  PageStore(const PageStore&) = delete;
  PageStore& operator=(const PageStore&) = delete;

  /// The page with that index, or null for a hole.
  [[nodiscard]] Page find_or_null(std::uint64_t index) const;
  /// The same, or a new page; `fresh` tells which. A fresh page's contents are the caller's to set. Null: budget or memory is used up.
  [[nodiscard]] Page get_or_null(std::uint64_t index, bool& fresh);
  /// Drops a page, if there is one.
  void erase(std::uint64_t index);
  /// Drops the pages with indexes in [begin, end).
  void erase_range(std::uint64_t begin, std::uint64_t end);
  /// The first index from `from` on that has a page; ~0 if there is none.
  [[nodiscard]] std::uint64_t next_present(std::uint64_t from) const;
  /// The first index from `from` on that has none.
  [[nodiscard]] std::uint64_t next_hole(std::uint64_t from) const;
  [[nodiscard]] std::uint64_t pages() const { return pages_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kGroupPages = 64;
  struct Group : boost::intrusive::set_base_hook<> {
    explicit Group(std::uint64_t group_index) : index(group_index) {}
    const std::uint64_t index;
    std::uint64_t present = 0;  ///< bit n: page n is there
    std::array<Page, kGroupPages> pages{};
  };
  struct GroupIndex {
    using type = std::uint64_t;
    const type& operator()(const Group& group) const { return group.index; }
  };
  using Groups = boost::intrusive::set<Group, boost::intrusive::key_of_value<GroupIndex>>;

  void erase_pages(Group& group, std::uint64_t mask);

  PageBudget& budget_;
  Groups groups_;
  std::atomic<std::uint64_t> pages_{0};  ///< read without the mutex by stat
};

}  // namespace quire::kernel
