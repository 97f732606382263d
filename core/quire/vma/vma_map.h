// A persistent ordered map of mappings: immutable counted nodes, copied along the path on change; copying the map is O(1) (X14).
//
// An AVL tree. A VmaMap value is a counted pointer to a root; changing it builds new nodes along one path and leaves the old tree as it
// was, so a fork shares it, /proc reads it without a lock, and an operation that runs out of memory simply drops the new one (I12).
// Each node also knows of its subtree: the extent, the widest gap (for placement), the union of flags (are there spans that fork must not
// share?), and the number of mappings. Nodes count as users of their mapping's object.
// Locks: none; the AddressSpace's lock guards the variable that holds the map, nodes are immutable.
#pragma once

#include <cstdint>
#include <optional>

#include "quire/base/atomic.h"
#include "quire/base/errno.h"
#include "quire/base/types.h"
#include "quire/vma/vma.h"

namespace quire {

class MemoryManager;

/// Linux v6.12 mm/mmap.c:stack_guard_gap: pages kept free below a growing stack.
inline constexpr PageCount kStackGuardGap{256};

/// Where `vma` begins for placement: a stack keeps its guard gap (Linux vm_start_gap()).
[[nodiscard]] constexpr VirtAddr begin_with_gap(const Vma& vma) {
  if (!vma.flags.has(VmaFlag::kGrowsDown)) return vma.range.begin();
  const ByteCount gap = kStackGuardGap.bytes();
  return vma.range.begin().raw() < gap.raw() ? VirtAddr(0) : vma.range.begin() - gap;
}

/// A node; immutable once made.
struct VmaNode {
  VmaNode(const Vma& v, VmaNode* l, VmaNode* r);
  Vma vma;
  VmaNode* left;
  VmaNode* right;
  Atomic<std::uint32_t> references{1};
  std::uint32_t count;      ///< mappings in the subtree
  std::uint8_t height;
  VmaFlags flags_below;     ///< union over the subtree
  VirtAddr first, last;     ///< extent of the subtree; `first` with its guard gap
  ByteCount widest_gap;     ///< between mappings of the subtree
};

class VmaMap {
 public:
  explicit VmaMap(MemoryManager& memory) : memory_(&memory) {}
  VmaMap(const VmaMap& other);
  VmaMap(VmaMap&& other) noexcept : memory_(other.memory_), root_(other.root_) { other.root_ = nullptr; }
  VmaMap& operator=(VmaMap other) noexcept {
    VmaNode* mine = root_;
    root_ = other.root_;
    other.root_ = mine;
    return *this;
  }
  ~VmaMap();

  [[nodiscard]] std::uint32_t size() const { return root_ == nullptr ? 0 : root_->count; }
  [[nodiscard]] bool has_any(VmaFlags flags) const { return root_ != nullptr && root_->flags_below.has_any(flags); }
  /// The mapping that covers `address`, or null. Valid as long as this map value.
  [[nodiscard]] const Vma* find(VirtAddr address) const;
  /// The first mapping that ends above `address`, or null.
  [[nodiscard]] const Vma* first_ending_above(VirtAddr address) const;
  /// The last mapping that begins below `address`, or null.
  [[nodiscard]] const Vma* last_beginning_below(VirtAddr address) const;
  /// Calls visit(vma) in ascending order for those that overlap `range`.
  template <typename Visit>
  void for_each_in(VirtRange range, Visit visit) const {
    visit_node(root_, range, visit);
  }
  template <typename Visit>
  void for_each(Visit visit) const {
    visit_node(root_, VirtRange(VirtAddr(0), VirtAddr(~std::uint64_t{0})), visit);
  }
  /// Calls visit(vma) for those with any of `flags`, skipping subtrees without.
  template <typename Visit>
  void for_each_with(VmaFlags flags, Visit visit) const {
    visit_flagged(root_, flags, visit);
  }
  /// The highest place for `length` bytes in [floor, top), or none (Linux vm_unmapped_area() top down).
  [[nodiscard]] std::optional<VirtAddr> highest_gap(ByteCount length, VirtAddr floor, VirtAddr top) const;
  /// The lowest place.
  [[nodiscard]] std::optional<VirtAddr> lowest_gap(ByteCount length, VirtAddr floor, VirtAddr top) const;

  /// Adds a mapping that overlaps none. Errors: ENOMEM, the map unchanged.
  Result<void> insert(const Vma& vma);
  /// Removes the mapping that begins at `begin`; it exists.
  Result<void> erase(VirtAddr begin);
  /// Replaces the mapping that begins at `begin` by one that has the same neighbours.
  Result<void> replace(VirtAddr begin, const Vma& vma);
  /// Adds a mapping, merging it with neighbours it continues (Linux v6.12 mm/vma.c:vma_merge_new_range()).
  Result<void> insert_merging(const Vma& vma);
  /// Removes all of `range`, splitting mappings at its ends.
  Result<void> erase_range(VirtRange range);

  /// Whether both are the same tree: then nothing differs (X4, X14).
  friend bool operator==(const VmaMap& a, const VmaMap& b) { return a.root_ == b.root_; }
  /// For audits: heights, order, extents and counts are as the nodes say.
  [[nodiscard]] bool is_well_formed() const;

 private:
  class Editor;

  template <typename Visit>
  static void visit_node(const VmaNode* node, VirtRange range, Visit& visit) {
    if (node == nullptr || range.end() <= node->first || node->last <= range.begin()) return;
    visit_node(node->left, range, visit);
    if (node->vma.range.overlaps(range)) visit(node->vma);
    visit_node(node->right, range, visit);
  }
  template <typename Visit>
  static void visit_flagged(const VmaNode* node, VmaFlags flags, Visit& visit) {
    if (node == nullptr || !node->flags_below.has_any(flags)) return;
    visit_flagged(node->left, flags, visit);
    if (node->vma.flags.has_any(flags)) visit(node->vma);
    visit_flagged(node->right, flags, visit);
  }

  MemoryManager* memory_;
  VmaNode* root_ = nullptr;
};

}  // namespace quire
