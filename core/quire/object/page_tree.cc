#include "quire/object/page_tree.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"

namespace quire {

Frame** PageTree::slots(const Frame& node) const { return reinterpret_cast<Frame**>(memory_.contents(node)); }

bool PageTree::make_node(Frame*& place, FrameReservation& nodes) {
  if (nodes.held() == 0) return false;
  Frame* node = nodes.take();
  node->kind = FrameKind::kRadix;
  __builtin_memset(memory_.contents(*node), 0, kPageSize);
  slots(*node)[0] = place;
  place = node;
  return true;
}

Frame** PageTree::place(PageIndex index, FrameReservation& nodes) {
  while (!reaches(index)) {
    if (root_ != nullptr && !make_node(root_, nodes)) return nullptr;
    ++height_;
  }
  Frame** slot = &root_;
  for (unsigned height = height_; height > 0; --height) {
    if (*slot == nullptr && !make_node(*slot, nodes)) return nullptr;
    slot = &slots(**slot)[(index.raw() >> (kRadixBits * (height - 1))) % kNodeSlots];
  }
  return slot;
}

Frame** PageTree::find_place(PageIndex index) const {
  if (!reaches(index)) return nullptr;
  Frame* const* slot = &root_;
  for (unsigned height = height_; height > 0; --height) {
    if (*slot == nullptr) return nullptr;
    slot = &slots(**slot)[(index.raw() >> (kRadixBits * (height - 1))) % kNodeSlots];
  }
  return const_cast<Frame**>(slot);
}

Frame* PageTree::find(PageIndex index) const {
  Frame* const* const slot = find_place(index);
  return slot == nullptr ? nullptr : *slot;
}

Frame*& PageTree::at(PageIndex index) const {
  Frame** const slot = find_place(index);
  QUIRE_ASSERT(slot != nullptr && *slot != nullptr, "I8: a page that is not where its frame says");
  return *slot;
}

Frame* PageTree::next(PageIndex& from) const {
  std::uint64_t index = from.raw();
  while (reaches(PageIndex(index))) {
    Frame* at = root_;
    unsigned height = height_;
    while (at != nullptr && height > 0) {
      at = slots(*at)[(index >> (kRadixBits * (height - 1))) % kNodeSlots];
      --height;
    }
    if (at != nullptr) {
      from = PageIndex(index);
      return at;
    }
    // `height` levels are below the hole: on to where it ends.
    const std::uint64_t step = std::uint64_t{1} << (kRadixBits * height);
    index = (index & ~(step - 1)) + step;
    if (index == 0) return nullptr;
  }
  return nullptr;
}

void PageTree::free_node(Frame* node, unsigned height) {
  if (height == 0) return;
  for (unsigned n = 0; n < kNodeSlots; ++n) {
    if (Frame* const child = slots(*node)[n]; child != nullptr) {
      QUIRE_ASSERT(height > 1, "I6: a page left in the index of an object that ends");
      free_node(child, height - 1);
    }
  }
  memory_.pool().give(node);
}

void PageTree::clear() {
  if (root_ != nullptr) {
    QUIRE_ASSERT(height_ != 0, "I6: a page left in the index of an object that ends");
    free_node(root_, height_);
  }
  root_ = nullptr;
  height_ = 0;
}

}  // namespace quire
