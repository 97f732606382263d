// Moving the entries of a range to another place of the same space: whole tables by their pointer where source and target lie the same way
// in their spans, single leaves where they do not (S0.61).
//
// Used by mremap. What it may need is reserved before the first entry changes, so the work itself cannot fail (S0.54, I12). A table that
// moves keeps its share count, its leaves and its attachments, which know slots and not addresses; a leaf that moves alone is detached from
// one table and attached to the other, and walks from its object begin anew (R13). Zero tables move like others, where they are whole.
#pragma once

#include "quire/base/types.h"
#include "quire/frame/frame_pool.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

class AddressSpace;

class Move {
 public:
  /// Will move what is in `from` to `to`. `free_from` ⊇ from and `free_to` ⊇ the target: up to the neighbouring mappings.
  /// Pre: nothing is mapped at the target. Locks: the space's, exclusive, for the life of the object.
  Move(AddressSpace& space, VirtRange from, VirtAddr to, VirtRange free_from, VirtRange free_to);
  /// Errors: ENOMEM.
  Result<void> reserve();
  /// Moves. Until `gather` is finished, other CPUs may still see the pages at the old place.
  void run(Gather& gather);

 private:
  /// Where `address` goes.
  [[nodiscard]] VirtAddr target_of(VirtAddr address) const { return VirtAddr(address.raw() + distance_); }
  /// Whether the entry of `span` in a table of `level` can move as it is.
  [[nodiscard]] bool moves_whole(VirtRange span, Level level) const;
  void count(const TableView& table, VirtRange range, bool shared_above);
  void count_target(VirtRange range, Level level);
  [[nodiscard]] std::uint32_t attachments_at(VirtAddr address, Level level) const;

  void move_below(ExclusiveTable table, VirtRange range, Gather& gather);
  void move_entry(ExclusiveTable& table, VirtRange span, Gather& gather);
  void move_leaves(ExclusiveTable& from, VirtRange range, Gather& gather);
  void move_large(ExclusiveTable& from, VirtRange span, Gather& gather);
  void move_leaf(ExclusiveTable& from, ExclusiveTable& to, VirtAddr address);
  /// The table of `level` that covers `address`, the space's own, made if there is none.
  [[nodiscard]] ExclusiveTable target_table(VirtAddr address, Level level, Gather& gather);
  [[nodiscard]] ExclusiveTable own_child(ExclusiveTable& table, VirtAddr address, Gather& gather);

  AddressSpace& space_;
  MemoryManager& memory_;
  const Geometry& geometry_;
  VirtRange from_;
  std::uint64_t distance_;  ///< target − source, modulo 2^64
  VirtRange free_from_, free_to_;
  std::uint32_t need_frames_ = 0, need_attachments_ = 0;
  /// By level: the end of the target tables that are reserved for.
  VirtAddr counted_to_[kMaxLevels + 1];
  FrameReservation frames_;
  AttachmentReservation attachments_;
};

}  // namespace quire
