// An object's pages by index: a radix tree of frames, as deep as its highest index needs.
//
// Life cycle: part of an object, whose lock guards it. Nodes are frames and come from a reservation of the caller's, since nothing is
// allocated under the lock; they go with clear(). It holds pointers and knows nothing of pages.
#pragma once

#include <cstdint>

#include "quire/base/types.h"
#include "quire/frame/frame_pool.h"

namespace quire {

class MemoryManager;

class PageTree {
 public:
  static constexpr unsigned kMaxHeight = 6;  ///< 54 index bits: all that a file can have
  /// Nodes that a new place may need.
  static constexpr unsigned kMostNodes = kMaxHeight + 1;

  explicit PageTree(MemoryManager& memory) : memory_(memory) {}
  PageTree(const PageTree&) = delete;
  PageTree& operator=(const PageTree&) = delete;

  /// The page at `index`, or null.
  [[nodiscard]] Frame* find(PageIndex index) const;
  /// The place for it, made of `nodes` if need be; null if those run out (what was made so far stays).
  [[nodiscard]] Frame** place(PageIndex index, FrameReservation& nodes);
  /// The place of a page that is there.
  [[nodiscard]] Frame*& at(PageIndex index) const;
  /// The first page at or after `from`, and its index in `from`; or null.
  [[nodiscard]] Frame* next(PageIndex& from) const;
  /// Gives all nodes back. Pre: no page is left.
  void clear();

 private:
  static constexpr unsigned kRadixBits = 9, kNodeSlots = 1U << kRadixBits;
  [[nodiscard]] Frame** slots(const Frame& node) const;
  [[nodiscard]] bool reaches(PageIndex index) const { return (index.raw() >> (kRadixBits * height_)) == 0; }
  [[nodiscard]] Frame** find_place(PageIndex index) const;
  bool make_node(Frame*& place, FrameReservation& nodes);
  void free_node(Frame* node, unsigned height);

  MemoryManager& memory_;
  Frame* root_ = nullptr;  ///< height 0: the page itself; else a node of 512 pointers
  unsigned height_ = 0;
};

}  // namespace quire
