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
  attachment.sequence = ++last_sequence_;
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

}  // namespace quire
