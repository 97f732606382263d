#include "quire/object/memory_object.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"

namespace quire {

void MemoryObject::become_known() { memory_.objects().add(*this); }

void MemoryObject::end() {
  memory_.objects().remove(*this);
  destroy();
}

void MemoryObject::attach(Attachment& attachment) {
  holds_.fetch_add(kAttachment);
  SpinGuard guard(lock_, LockRank::kAttachment);
  attachment.sequence = memory_.next_id();
  index_.insert(attachment);
}

void MemoryObject::detach(Attachment& attachment) {
  {
    SpinGuard guard(lock_, LockRank::kAttachment);
    index_.erase(index_.iterator_to(attachment));
  }
  drop(kAttachment);
}

std::int64_t MemoryObject::first_position_of(PageIndex index) const {
  return static_cast<std::int64_t>(index.raw()) - (static_cast<std::int64_t>(memory_.geometry().slots()) - 1);
}

bool MemoryObject::next_step(PageIndex last, Step& step) {
  Attachment after;
  after.first_index = step.first_index;
  after.sequence = step.sequence;
  SpinGuard guard(lock_, LockRank::kAttachment);
  const auto found = index_.upper_bound(after);
  const auto end = static_cast<std::int64_t>(last.raw());
  if (found == index_.end() || found->first_index > end) return false;
  step = Step{found->table, found->first_index, found->sequence};
  return true;
}

bool MemoryObject::is_attached(const Step& step) {
  Attachment wanted;
  wanted.first_index = step.first_index;
  wanted.sequence = step.sequence;
  SpinGuard guard(lock_, LockRank::kAttachment);
  const auto found = index_.find(wanted);
  return found != index_.end() && found->table == step.table;
}

const Attachment* MemoryObject::find_attachment_for_audit(const Frame& table, std::int64_t first_index) {
  SpinGuard guard(lock_, LockRank::kAttachment);
  Attachment from;
  from.first_index = first_index;
  for (auto it = index_.lower_bound(from); it != index_.end() && it->first_index == first_index; ++it) {
    if (it->table == &table) return &*it;
  }
  return nullptr;
}

void AnonObject::destroy() { memory_.anon_objects().destroy(this); }

Result<ShmObject*> ShmObject::create(MemoryManager& memory, PageCount pages) {
  ShmObject* object = memory.shm_objects().make_or_null(memory, pages);
  if (object == nullptr) return fail(Errno::kNoMem);
  return object;
}

namespace {

constexpr unsigned kNodeSlots = 512;

Frame** node_slots(const MemoryManager& memory, const Frame& node) {
  return reinterpret_cast<Frame**>(memory.contents(node));
}

}  // namespace

// The place of a page in the index, or null if nodes are missing and `nodes` has run out.
Frame** ShmObject::slot_locked(PageIndex index, FrameReservation& nodes) {
  auto make_node = [&](Frame*& place) {
    if (nodes.held() == 0) return false;
    Frame* node = nodes.take();
    node->kind = FrameKind::kRadix;
    __builtin_memset(memory_.contents(*node), 0, kPageSize);
    node_slots(memory_, *node)[0] = place;
    place = node;
    return true;
  };
  while ((index.raw() >> (kRadixBits * height_)) != 0) {
    if (root_ != nullptr && !make_node(root_)) return nullptr;
    ++height_;
  }
  Frame** slot = &root_;
  for (unsigned height = height_; height > 0; --height) {
    if (*slot == nullptr && !make_node(*slot)) return nullptr;
    slot = &node_slots(memory_, **slot)[(index.raw() >> (kRadixBits * (height - 1))) % kNodeSlots];
  }
  return slot;
}

Result<Frame*> ShmObject::get_page(PageIndex index) {
  if (index.raw() >= pages_.raw()) return fail(Errno::kFault);
  FrameReservation nodes(memory_.pool());
  FrameReservation page(memory_.pool());
  for (;;) {
    bool nodes_missing = false;
    {
      SpinGuard guard(lock_, LockRank::kObject, reinterpret_cast<std::uint64_t>(this));
      Frame** slot = slot_locked(index, nodes);
      nodes_missing = slot == nullptr;
      if (slot != nullptr && *slot == nullptr && page.held() != 0) {
        Frame* fresh = page.take();
        fresh->page = Frame::Page{this, index.raw()};
        fresh->kind = FrameKind::kShmem;
        fresh->counts.store(Frame::kOneReference);  // the object's own; last of all, for those who come by the frame (S4.22)
        *slot = fresh;
        resident_.fetch_add(1);
      }
      if (slot != nullptr && *slot != nullptr) {
        if ((*slot)->has_flag(Frame::kPoisoned)) return fail(Errno::kIo);
        if (!(*slot)->try_get()) return fail(Errno::kAgain);
        return *slot;
      }
    }
    if (nodes_missing && !nodes.ensure(kMaxHeight, FrameUse::kUser)) return fail(Errno::kNoMem);
    if (page.held() == 0) {
      if (!page.ensure(1, FrameUse::kUser)) return fail(Errno::kNoMem);
      memory_.clear_data(page.first());
    }
  }
}

void ShmObject::replace_page(PageIndex index, Frame& from, Frame& to) {
  FrameReservation none(memory_.pool());
  const SpinGuard guard(lock_, LockRank::kObject, reinterpret_cast<std::uint64_t>(this));
  Frame** const slot = slot_locked(index, none);
  QUIRE_ASSERT(slot != nullptr && *slot == &from, "I8: a page that is not where its frame says");
  *slot = &to;
}

const Frame* ShmObject::find_page(PageIndex index) {
  SpinGuard guard(lock_, LockRank::kObject, reinterpret_cast<std::uint64_t>(this));
  if ((index.raw() >> (kRadixBits * height_)) != 0) return nullptr;
  const Frame* at = root_;
  for (unsigned height = height_; height > 0 && at != nullptr; --height) {
    at = node_slots(memory_, *at)[(index.raw() >> (kRadixBits * (height - 1))) % kNodeSlots];
  }
  return at;
}

void ShmObject::free_node(Frame* node, unsigned height) {
  if (height > 0) {
    for (unsigned i = 0; i < kNodeSlots; ++i) {
      if (Frame* child = node_slots(memory_, *node)[i]; child != nullptr) free_node(child, height - 1);
    }
    memory_.pool().give(node);
  } else if (node->put()) {
    memory_.pool().give(node);
  }
}

void ShmObject::destroy() {
  Frame* root = nullptr;
  unsigned height = 0;
  {
    SpinGuard guard(lock_, LockRank::kObject, reinterpret_cast<std::uint64_t>(this));
    root = root_;
    height = height_;
  }
  if (root != nullptr) free_node(root, height);
  memory_.shm_objects().destroy(this);
}

}  // namespace quire
