// How many address spaces reach a table: the number that turns entries into mappings (X8).
//
// An entry of a table that n spaces reach is mapped n times. n cannot be had from share counts
// along one path, since they count the tables that name a table and not the spaces behind those; so
// a census hands the number down from the roots. One pass per level, each table met once in it:
// reach(root) = 1, reach(table) = the sum of reach over the upper entries that name it. The numbers
// stay in the tables' descriptors, marked with the pass that wrote them; nothing is allocated.
// Cost: the upper tables of the spaces counted.
//
// Life cycle: part of an Observer, on demand; the numbers are of the moment the pass came by, and
// exact if nothing changed meanwhile. Only spaces of one family share private pages and the tables
// that fork shares, so for those one family is counted. Locks: whoever counts holds
// MemoryManager::observers(). Takes each space's lock shared and, in it, the locks of the tables
// from the root down to the one that is read, so that nothing met can go.
#pragma once

#include <cstdint>
#include <span>

#include "quire/base/types.h"
#include "quire/frame/frame.h"

namespace quire {

class AddressSpace;
class MemoryManager;

class Census {
 public:
  /// Whose spaces have been counted.
  enum class Scope : std::uint8_t { kNone, kFamily, kAll };

  explicit Census(MemoryManager& memory) : memory_(memory) {}

  /// Counts `scope`; of kFamily, that of the space given. Locks: observers() held, nothing else.
  void take(Scope scope, std::uint64_t family);
  [[nodiscard]] Scope scope() const { return scope_; }
  /// Spaces that reach `table`, a path at a time. Locks: the table's, or
  /// that of one which names it.
  [[nodiscard]] std::uint32_t reach(const Frame& table) const;

  /// Tables met that more than one way leads to, each once.
  [[nodiscard]] PageCount shared_tables() const { return PageCount(shared_); }

  /// Adds to counts[i] how often frame `first` + i is mapped. Pre: kAll was taken. Cost: all leaf
  /// tables. Locks: as take().
  void add_mappings(Pfn first, std::span<std::uint32_t> counts);

 private:
  struct Sought {
    Pfn first;
    std::span<std::uint32_t> counts;
  };
  // One pass: for tables of `target` their reach; at level 0, what the leaves of the level-1 tables
  // map.
  void pass(Level target, std::uint64_t family, const Sought& sought);
  void descend(Frame& table, std::uint32_t reach, Level target, const Sought& sought);
  void visit(Frame& child, std::uint32_t parent_reach, Level target, const Sought& sought);
  static void add(Pfn frame, std::uint32_t reach, const Sought& sought);
  void add_leaves(Frame& table, std::uint32_t reach, const Sought& sought);

  // One pass for each level below the root.
  void passes(std::uint64_t family);
  static constexpr std::uint64_t kMostReach = (std::uint64_t{1} << 24) - 1;
  static constexpr std::uint32_t kLastMark = ~std::uint32_t{0} - 2 * kMaxLevels;
  [[nodiscard]] static std::uint32_t reach_of(const Frame& table) {
    return table.table.census_reach | std::uint32_t{table.table.census_reach_high} << 16;
  }
  static void set(Frame& table, std::uint32_t mark, std::uint64_t reach);

  MemoryManager& memory_;
  Scope scope_ = Scope::kNone;
  std::uint32_t first_mark_ = 0, mark_ = 0;
  std::uint64_t shared_ = 0;
};

}  // namespace quire
