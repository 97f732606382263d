#include "quire/vma/vma_map.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/object/memory_object.h"

namespace quire {

namespace {

int height_of(const VmaNode* node) { return node == nullptr ? 0 : node->height; }

ByteCount wider(ByteCount a, ByteCount b) { return a < b ? b : a; }

ByteCount gap_between(VirtAddr end, VirtAddr begin) { return end < begin ? begin - end : ByteCount(0); }

VmaNode* share(VmaNode* node) {
  if (node != nullptr) node->references.fetch_add(1);
  return node;
}

void unref(MemoryManager& memory, VmaNode* node) {
  while (node != nullptr && node->references.fetch_sub(1) == 1) {
    unref(memory, node->left);  // depth: the tree's height
    VmaNode* right = node->right;
    if (node->vma.object != nullptr) node->vma.object->drop_user();
    if (node->vma.label != nullptr) node->vma.label->release();
    if (node->vma.handler != nullptr) node->vma.handler->release();
    memory.vma_nodes().destroy(node);
    node = right;
  }
}

}  // namespace

VmaNode::VmaNode(const Vma& v, VmaNode* l, VmaNode* r) : vma(v), left(l), right(r) {
  count = 1 + (l == nullptr ? 0 : l->count) + (r == nullptr ? 0 : r->count);
  const int taller = height_of(l) > height_of(r) ? height_of(l) : height_of(r);
  height = static_cast<std::uint8_t>(taller + 1);
  flags_below = v.flags;
  first = v.range.begin();
  last = v.range.end();
  if (l != nullptr) {
    flags_below = flags_below | l->flags_below;
    widest_gap = wider(l->widest_gap, gap_between(l->last, first));
    first = l->first;
  }
  if (r != nullptr) {
    flags_below = flags_below | r->flags_below;
    widest_gap = wider(widest_gap, wider(r->widest_gap, gap_between(last, r->first)));
    last = r->last;
  }
}

// Builds new trees. Inputs are borrowed; outputs are owned. When a node cannot be had, what is built is dropped in parts and `failed()`
// says so in the end: every intermediate result is a valid tree, so no step needs a test of its own.
class VmaMap::Editor {
 public:
  explicit Editor(MemoryManager& memory) : memory_(memory) {}
  [[nodiscard]] bool failed() const { return failed_; }

  VmaNode* insert(VmaNode* t, const Vma& v) {
    if (t == nullptr) return make(v, nullptr, nullptr);
    if (v.range.begin() < t->vma.range.begin()) return balance(t->vma, insert(t->left, v), share(t->right));
    return balance(t->vma, share(t->left), insert(t->right, v));
  }
  VmaNode* erase(VmaNode* t, VirtAddr begin) {
    QUIRE_ASSERT(t != nullptr, "erase of a mapping that is not there");
    if (begin < t->vma.range.begin()) return balance(t->vma, erase(t->left, begin), share(t->right));
    if (t->vma.range.begin() < begin) return balance(t->vma, share(t->left), erase(t->right, begin));
    if (t->left == nullptr) return share(t->right);
    if (t->right == nullptr) return share(t->left);
    const VmaNode* next = t->right;
    while (next->left != nullptr) next = next->left;
    return balance(next->vma, share(t->left), erase(t->right, next->vma.range.begin()));
  }
  VmaNode* replace(VmaNode* t, VirtAddr begin, const Vma& v) {
    QUIRE_ASSERT(t != nullptr, "replacement of a mapping that is not there");
    if (begin < t->vma.range.begin()) return make(t->vma, replace(t->left, begin, v), share(t->right));
    if (t->vma.range.begin() < begin) return make(t->vma, share(t->left), replace(t->right, begin, v));
    return make(v, share(t->left), share(t->right));
  }

 private:
  // Takes over l and r.
  VmaNode* make(const Vma& v, VmaNode* l, VmaNode* r) {
    VmaNode* node = memory_.vma_nodes().make_or_null(v, l, r);
    if (node == nullptr) {
      failed_ = true;
      unref(memory_, l);
      unref(memory_, r);
      return nullptr;
    }
    if (v.object != nullptr) v.object->add_user();
    if (v.label != nullptr) v.label->hold();
    if (v.handler != nullptr) v.handler->hold();
    return node;
  }
  // Takes over l and r, whose heights differ by at most 2 (more only after a failure, when the result is dropped).
  VmaNode* balance(const Vma& v, VmaNode* l, VmaNode* r) {
    if (height_of(l) > height_of(r) + 1) {
      VmaNode* result = nullptr;
      if (height_of(l->left) >= height_of(l->right)) {
        VmaNode* inner = make(v, share(l->right), r);
        result = make(l->vma, share(l->left), inner);
      } else {
        VmaNode* middle = l->right;
        VmaNode* left = make(l->vma, share(l->left), share(middle->left));
        VmaNode* right = make(v, share(middle->right), r);
        result = make(middle->vma, left, right);
      }
      unref(memory_, l);
      return result;
    }
    if (height_of(r) > height_of(l) + 1) {
      VmaNode* result = nullptr;
      if (height_of(r->right) >= height_of(r->left)) {
        VmaNode* inner = make(v, l, share(r->left));
        result = make(r->vma, inner, share(r->right));
      } else {
        VmaNode* middle = r->left;
        VmaNode* left = make(v, l, share(middle->left));
        VmaNode* right = make(r->vma, share(middle->right), share(r->right));
        result = make(middle->vma, left, right);
      }
      unref(memory_, r);
      return result;
    }
    return make(v, l, r);
  }

  MemoryManager& memory_;
  bool failed_ = false;
};

VmaMap::VmaMap(const VmaMap& other) : memory_(other.memory_), root_(share(other.root_)), born_(other.born_) {}

VmaMap::~VmaMap() { unref(*memory_, root_); }

const Vma* VmaMap::first_ending_above(VirtAddr address) const {
  const Vma* best = nullptr;
  for (const VmaNode* node = root_; node != nullptr;) {
    if (address < node->vma.range.end()) {
      best = &node->vma;
      node = node->left;
    } else {
      node = node->right;
    }
  }
  return best;
}

const Vma* VmaMap::last_beginning_below(VirtAddr address) const {
  const Vma* best = nullptr;
  for (const VmaNode* node = root_; node != nullptr;) {
    if (node->vma.range.begin() < address) {
      best = &node->vma;
      node = node->right;
    } else {
      node = node->left;
    }
  }
  return best;
}

namespace {

const Vma* first_with_in(const VmaNode* node, VmaFlags flags, VirtAddr address) {
  if (node == nullptr || !node->flags_below.has_any(flags) || node->last <= address) return nullptr;
  if (const Vma* found = first_with_in(node->left, flags, address); found != nullptr) return found;
  if (address < node->vma.range.end() && node->vma.flags.has_any(flags)) return &node->vma;
  return first_with_in(node->right, flags, address);
}

VirtAddr later(VirtAddr a, VirtAddr b) { return a < b ? b : a; }
VirtAddr earlier(VirtAddr a, VirtAddr b) { return a < b ? a : b; }

// The gaps of a subtree lie between `below`, where its predecessor ends, and `above`, where its successor begins. Subtrees whose gaps, the
// two outer ones included, are all too narrow are not entered.
bool may_have_gap(const VmaNode& node, ByteCount length, VirtAddr below, VirtAddr above) {
  return node.widest_gap >= length || gap_between(node.last, above) >= length || gap_between(below, node.first) >= length;
}

// Highest begin of `length` free bytes in [floor, top).
std::optional<VirtAddr> highest_in(const VmaNode* node, ByteCount length, VirtAddr floor, VirtAddr top, VirtAddr below, VirtAddr above) {
  if (node == nullptr) {
    const VirtAddr hi = earlier(top, above);
    if (gap_between(later(floor, below), hi) < length) return std::nullopt;
    return hi - length;
  }
  if (!may_have_gap(*node, length, below, above)) return std::nullopt;
  if (node->vma.range.end() < top) {
    if (auto found = highest_in(node->right, length, floor, top, node->vma.range.end(), above)) return found;
  }
  if (node->vma.range.begin() <= floor) return std::nullopt;
  return highest_in(node->left, length, floor, top, below, node->vma.range.begin());
}

std::optional<VirtAddr> lowest_in(const VmaNode* node, ByteCount length, VirtAddr floor, VirtAddr top, VirtAddr below, VirtAddr above) {
  if (node == nullptr) {
    const VirtAddr lo = later(floor, below);
    if (gap_between(lo, earlier(top, above)) < length) return std::nullopt;
    return lo;
  }
  if (!may_have_gap(*node, length, below, above)) return std::nullopt;
  if (floor < node->vma.range.begin()) {
    if (auto found = lowest_in(node->left, length, floor, top, below, node->vma.range.begin())) return found;
  }
  if (top <= node->vma.range.end()) return std::nullopt;
  return lowest_in(node->right, length, floor, top, node->vma.range.end(), above);
}

constexpr VirtAddr kEverything(~std::uint64_t{0});

}  // namespace

// The place next to a stack is looked at without its guard gap and then refused with it: the search goes on below the whole gap, even if
// other mappings lie within it.
std::optional<VirtAddr> VmaMap::highest_gap(ByteCount length, VirtAddr floor, VirtAddr top) const {
  for (;;) {
    const auto found = highest_in(root_, length, floor, top, VirtAddr(0), kEverything);
    if (!found) return std::nullopt;
    const Vma* next = first_ending_above(*found + length);
    if (next == nullptr || *found + length <= begin_with_gap(*next)) return found;
    top = begin_with_gap(*next);
  }
}

std::optional<VirtAddr> VmaMap::lowest_gap(ByteCount length, VirtAddr floor, VirtAddr top) const {
  for (;;) {
    const auto found = lowest_in(root_, length, floor, top, VirtAddr(0), kEverything);
    if (!found) return std::nullopt;
    const Vma* next = first_ending_above(*found);
    if (next == nullptr || *found + length <= begin_with_gap(*next)) return found;
    floor = next->range.end();
  }
}

const Vma* VmaMap::first_with(VmaFlags flags, VirtAddr address) const { return first_with_in(root_, flags, address); }

Result<void> VmaMap::insert(const Vma& vma) {
  Editor editor(*memory_);
  VmaMap fresh(*memory_);
  fresh.root_ = editor.insert(root_, vma);
  if (editor.failed()) return fail(Errno::kNoMem);
  *this = std::move(fresh);
  return {};
}

Result<void> VmaMap::erase(VirtAddr begin) {
  Editor editor(*memory_);
  VmaMap fresh(*memory_);
  fresh.root_ = editor.erase(root_, begin);
  if (editor.failed()) return fail(Errno::kNoMem);
  *this = std::move(fresh);
  return {};
}

Result<void> VmaMap::replace(VirtAddr begin, const Vma& vma) {
  Editor editor(*memory_);
  VmaMap fresh(*memory_);
  fresh.root_ = editor.replace(root_, begin, vma);
  if (editor.failed()) return fail(Errno::kNoMem);
  *this = std::move(fresh);
  return {};
}

bool VmaMap::tags_merge(const Vma& a, const Vma& b) const {
  const auto is_copied = [this](const Vma& vma) { return vma.anon.is_copied() || is_inherited(vma); };
  if (a.anon.is_none()) return !is_copied(b);
  if (b.anon.is_none()) return !is_copied(a);
  return a.anon == b.anon && !is_inherited(a);
}

AnonTag VmaMap::tag_for(const Vma& vma) const {
  const auto is_usable = [this](const Vma& neighbour) {
    return !neighbour.anon.is_none() && !neighbour.anon.is_copied() && !is_inherited(neighbour);
  };
  const Vma* after = first_ending_above(vma.range.end());
  if (after != nullptr && vma.continues_in(*after) && is_usable(*after)) return after->anon;
  const Vma* before = last_beginning_below(vma.range.begin());
  if (before != nullptr && before->continues_in(vma) && is_usable(*before)) return before->anon;
  return AnonTag(memory_->next_id());
}

// Whoever copies the map meanwhile gets the tag or does not: a fork excludes this, and to others it means nothing.
VmaMap::Tagged VmaMap::try_tag(VirtAddr address) {
  for (VmaNode* node = root_; node != nullptr;) {
    if (node->references.load_relaxed() != 1) return Tagged::kShared;
    if (address < node->vma.range.begin()) {
      node = node->left;
    } else if (address < node->vma.range.end()) {
      node->vma.anon.set_if_none(tag_for(node->vma));
      return Tagged::kDone;
    } else {
      node = node->right;
    }
  }
  return Tagged::kDone;
}

Result<void> VmaMap::insert_merging(const Vma& vma) {
  const Vma* before = last_beginning_below(vma.range.begin());
  const Vma* after = first_ending_above(vma.range.begin());
  const bool joins_before = before != nullptr && before->merges_with(vma) && tags_merge(*before, vma);
  // Both neighbours may go together with what lies between them, but not with each other: then it joins the lower.
  const bool joins_after = after != nullptr && vma.merges_with(*after) && tags_merge(vma, *after) &&
                           !(joins_before && !before->anon.is_none() && !after->anon.is_none() && !tags_merge(*before, *after));
  if (!joins_before && !joins_after) return insert(vma);
  Vma merged = vma;
  if (merged.anon.is_none() && joins_before) merged.anon = before->anon;
  if (merged.anon.is_none() && joins_after) merged.anon = after->anon;
  const VirtAddr after_begin = joins_after ? after->range.begin() : VirtAddr(0);
  // Of a mapping that is partly new all was written (Linux v6.12 mm/vma.c:is_mergeable_vma()).
  const bool is_tracked = (!joins_before || before->flags.has(VmaFlag::kTracked)) && (!joins_after || after->flags.has(VmaFlag::kTracked));
  if (!is_tracked) merged.flags = merged.flags.without(VmaFlag::kTracked);
  if (joins_after) merged.range = VirtRange(merged.range.begin(), after->range.end());
  if (!joins_before) return replace(after_begin, merged);
  merged.range = VirtRange(before->range.begin(), merged.range.end());
  merged.offset = before->offset;
  VmaMap changed = *this;
  if (joins_after) QUIRE_CHECK(changed.erase(after_begin));
  QUIRE_CHECK(changed.replace(merged.range.begin(), merged));
  *this = std::move(changed);
  return {};
}

Result<void> VmaMap::erase_range(VirtRange range) {
  VmaMap changed = *this;
  for (;;) {
    const Vma* found = changed.first_ending_above(range.begin());
    if (found == nullptr || !found->range.overlaps(range)) break;
    const Vma vma = *found;
    const VirtAddr begin = vma.range.begin();
    const bool keeps_head = begin < range.begin();
    const bool keeps_tail = range.end() < vma.range.end();
    const Geometry& geometry = memory_->geometry();
    const bool cuts_page = (keeps_head && !geometry.is_aligned(range.begin(), vma.leaf_level())) ||
                           (keeps_tail && !geometry.is_aligned(range.end(), vma.leaf_level()));
    if (cuts_page) return fail(Errno::kInval);
    if (keeps_head) {
      QUIRE_CHECK(changed.replace(begin, vma.clipped(VirtRange(begin, range.begin()))));
      if (keeps_tail) QUIRE_CHECK(changed.insert(vma.clipped(VirtRange(range.end(), vma.range.end()))));
    } else if (keeps_tail) {
      QUIRE_CHECK(changed.replace(begin, vma.clipped(VirtRange(range.end(), vma.range.end()))));
    } else {
      QUIRE_CHECK(changed.erase(begin));
    }
  }
  *this = std::move(changed);
  return {};
}

namespace {

// Checks a subtree; `previous` is the end of the mapping before it.
bool well_formed(const VmaNode* node, VirtAddr& previous) {
  if (node == nullptr) return true;
  if (!well_formed(node->left, previous)) return false;
  if (node->vma.range.empty() || node->vma.range.begin() < previous) return false;
  previous = node->vma.range.end();
  if (!well_formed(node->right, previous)) return false;
  const int difference = height_of(node->left) - height_of(node->right);
  const VmaNode again(node->vma, node->left, node->right);
  return difference >= -1 && difference <= 1 && again.height == node->height && again.count == node->count &&
         again.flags_below == node->flags_below && again.first == node->first && again.last == node->last &&
         again.widest_gap == node->widest_gap;
}

}  // namespace

bool VmaMap::is_well_formed() const {
  VirtAddr previous(0);
  return well_formed(root_, previous);
}

}  // namespace quire
