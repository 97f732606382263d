// A persistent ordered map of mappings: immutable counted nodes, copied along the path on change; copying the map is O(1) (X14).
//
// An AVL tree. A VmaMap value is a counted pointer to a root; changing it builds new nodes along one path and leaves the old tree as it
// was, so a fork shares it, /proc reads it without a lock, and an operation that runs out of memory simply drops the new one (I12).
// Each node also knows of its subtree: the extent, the widest gap (for placement), the union of flags (are there spans that fork must not
// share?), and the number of mappings. Nodes count as users of their mapping's object.
// Locks: none; the AddressSpace's lock guards the variable that holds the map, nodes are immutable. Only a tag (AnonTag) may be set in
// place, in nodes that no other map has.
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

/// A node; immutable once made, but for its mapping's tag.
struct VmaNode {
  VmaNode(const Vma& v, VmaNode* l, VmaNode* r);
  Vma vma;
  VmaNode* left;
  VmaNode* right;
  Atomic<std::uint32_t> references{1};
  std::uint32_t count;      ///< mappings in the subtree
  std::uint8_t height;
  VmaFlags flags_below;     ///< union over the subtree
  VirtAddr first, last;     ///< extent of the subtree
  ByteCount widest_gap;     ///< between mappings of the subtree
};

class VmaMap {
 public:
  explicit VmaMap(MemoryManager& memory) : memory_(&memory) {}
  VmaMap(const VmaMap& other);
  VmaMap(VmaMap&& other) noexcept : memory_(other.memory_), root_(other.root_), born_(other.born_) { other.root_ = nullptr; }
  /// Takes the mappings; what counts as inherited stays.
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
  [[nodiscard]] const Vma* find(VirtAddr address) const {
    const VmaNode* node = root_;
    while (node != nullptr) {
      if (address < node->vma.range.begin()) {
        node = node->left;
      } else if (address < node->vma.range.end()) {
        return &node->vma;
      } else {
        node = node->right;
      }
    }
    return nullptr;
  }
  /// The first mapping that ends above `address`, or null.
  [[nodiscard]] const Vma* first_ending_above(VirtAddr address) const;
  /// The last mapping that begins below `address`, or null.
  [[nodiscard]] const Vma* last_beginning_below(VirtAddr address) const;
  /// Calls visit(vma) for all in ascending order: O(n).
  template <typename Visit>
  void for_each(Visit visit) const {
    visit_node(root_, visit);
  }
  /// The first mapping at or above `address` with any of `flags`, skipping subtrees without; or null.
  [[nodiscard]] const Vma* first_with(VmaFlags flags, VirtAddr address) const;

  /// The mappings that overlap a range, in ascending order, for range-for. Valid as long as this map value.
  class Overlapping {
   public:
    class Iterator {
     public:
      Iterator(const VmaMap& map, const Vma* vma, VirtRange range) : map_(map), vma_(vma), range_(range) {}
      const Vma& operator*() const { return *vma_; }
      Iterator& operator++() {
        vma_ = within(map_.first_ending_above(vma_->range.end()), range_);
        return *this;
      }
      bool operator!=(const Iterator& other) const { return vma_ != other.vma_; }

     private:
      const VmaMap& map_;
      const Vma* vma_;
      VirtRange range_;
    };
    Overlapping(const VmaMap& map, VirtRange range) : map_(map), range_(range) {}
    [[nodiscard]] Iterator begin() const {
      return Iterator(map_, range_.empty() ? nullptr : within(map_.first_ending_above(range_.begin()), range_), range_);
    }
    [[nodiscard]] Iterator end() const { return Iterator(map_, nullptr, range_); }

   private:
    static const Vma* within(const Vma* vma, VirtRange range) {
      return vma != nullptr && vma->range.overlaps(range) ? vma : nullptr;
    }
    const VmaMap& map_;
    VirtRange range_;
  };
  [[nodiscard]] Overlapping overlapping(VirtRange range) const { return Overlapping(*this, range); }
  /// The highest place for `length` bytes in [floor, top), or none (Linux v6.12 mm/vma.c:unmapped_area_topdown()).
  [[nodiscard]] std::optional<VirtAddr> highest_gap(ByteCount length, VirtAddr floor, VirtAddr top) const;
  /// The lowest place (Linux v6.12 mm/vma.c:unmapped_area()).
  [[nodiscard]] std::optional<VirtAddr> lowest_gap(ByteCount length, VirtAddr floor, VirtAddr top) const;

  /// Whether a mapping's tag is from before this map's fork. Each such mapping is as if it had a tag of its own, made by that fork.
  [[nodiscard]] bool is_inherited(const Vma& vma) const { return !vma.anon.is_none() && vma.anon.number() < born_; }
  /// From now on tags with numbers below `number` are inherited.
  void fork_tags(std::uint64_t number) { born_ = number; }
  /// Whether two mappings' tags let them be one (Linux v6.12 mm/vma.c:is_mergeable_anon_vma(), as of 6.16 on both sides alike).
  [[nodiscard]] bool tags_merge(const Vma& a, const Vma& b) const;
  /// The tag that a first write to `vma` gives it: that of a neighbour, the one above first, or one with a new number (Linux v6.12
  /// mm/vma.c:find_mergeable_anon_vma()).
  [[nodiscard]] AnonTag tag_for(const Vma& vma) const;
  /// Gives the mapping at `address` that tag, unless another map shares its node.
  enum class Tagged : std::uint8_t { kDone, kShared };
  [[nodiscard]] Tagged try_tag(VirtAddr address);

  /// Adds a mapping that overlaps none. Errors: ENOMEM, the map unchanged.
  Result<void> insert(const Vma& vma);
  /// Removes the mapping that begins at `begin`; it exists.
  Result<void> erase(VirtAddr begin);
  /// Replaces the mapping that begins at `begin` by one that has the same neighbours.
  Result<void> replace(VirtAddr begin, const Vma& vma);
  /// Adds a mapping, merging it with neighbours it continues (Linux v6.12 mm/vma.c:vma_merge_new_range()).
  Result<void> insert_merging(const Vma& vma);
  /// Removes all of `range`, splitting mappings at its ends. Errors: ENOMEM; EINVAL: a huge page would be split (Linux: may_split).
  Result<void> erase_range(VirtRange range);

  /// Whether both are the same tree: then nothing differs (X4, X14).
  friend bool operator==(const VmaMap& a, const VmaMap& b) { return a.root_ == b.root_; }
  /// For audits: heights, order, extents and counts are as the nodes say.
  [[nodiscard]] bool is_well_formed() const;

 private:
  class Editor;

  template <typename Visit>
  static void visit_node(const VmaNode* node, Visit& visit) {
    if (node == nullptr) return;
    visit_node(node->left, visit);
    visit(node->vma);
    visit_node(node->right, visit);
  }

  MemoryManager* memory_;
  VmaNode* root_ = nullptr;
  std::uint64_t born_ = 0;
};

}  // namespace quire
