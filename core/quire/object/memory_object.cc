#include "quire/object/memory_object.h"

#include <limits>

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/table/lent.h"

namespace quire {

void MemoryObject::become_known() { memory_.objects().add(*this); }

void MemoryObject::end() {
  memory_.objects().remove(*this);
  destroy();
}

void MemoryObject::drop_user() {
  std::uint64_t seen = holds_.load();
  do {
    // Tables are lent through users' mappings only: nobody lends any more. Of two who go at once, one sees that it is the last.
    if (static_cast<std::uint32_t>(seen) == kUser && lent_.load() != 0) [[unlikely]] {
      static_cast<void>(give_up_tables(Tables::kAll));
      seen = holds_.load();
    }
  } while (!holds_.compare_exchange(seen, seen - kUser));
  if (seen == kUser) end();
}

std::uint64_t MemoryObject::fresh_sequence() { return ++last_sequence_; }

void MemoryObject::attach(Attachment& attachment) {
  holds_.fetch_add(kAttachment);
  SpinGuard guard(lock_, LockRank::kAttachment);
  attachment.sequence = fresh_sequence();
  index_.insert(attachment);
}

void MemoryObject::detach(Attachment& attachment) {
  {
    SpinGuard guard(lock_, LockRank::kAttachment);
    index_.erase(index_.iterator_to(attachment));
  }
  drop(kAttachment);
}

Attachment* MemoryObject::find_lent(const LentKey& key) {
  Attachment wanted;
  wanted.first_index = key.first_index;
  wanted.sequence = sequence_of(key);
  const auto found = index_.find(wanted);
  return found == index_.end() ? nullptr : &*found;
}

Frame* MemoryObject::share_lent(const LentKey& key) {
  SpinGuard guard(lock_, LockRank::kAttachment);
  Attachment* const found = find_lent(key);
  if (found == nullptr) return nullptr;
  add_traced_share(memory_, *found->table);  // the object has one, and gives it up under this lock
  return found->table;
}

Frame& MemoryObject::lend(Attachment& attachment, const LentKey& key) {
  SpinGuard guard(lock_, LockRank::kAttachment);
  if (Attachment* const found = find_lent(key); found != nullptr) {
    add_traced_share(memory_, *found->table);
    return *found->table;
  }
  holds_.fetch_add(kAttachment);
  lent_.fetch_add(1);
  attachment.sequence = sequence_of(key);
  index_.insert(attachment);
  return *attachment.table;
}

// Takes one lent table of `level`, at or after `from`, out of those that can be found. Its share is the caller's now. Null: there is none.
Frame* MemoryObject::give_up_table(Level level, Tables which, std::int64_t& from) {
  SpinGuard guard(lock_, LockRank::kAttachment);
  Attachment key;
  key.first_index = from;
  for (auto at = index_.lower_bound(key); at != index_.end();) {
    Attachment& attachment = *at;
    from = attachment.first_index;
    if (attachment.sequence >= kFirstSequence) {
      // Lent tables come first at each place.
      key.first_index = from + 1;
      at = index_.lower_bound(key);
      continue;
    }
    Frame& table = *attachment.table;
    if (table.level == level && (which == Tables::kAll || table.table.share.load() == 1)) {
      index_.erase(at);
      attachment.sequence = fresh_sequence();
      index_.insert(attachment);
      lent_.fetch_sub(1);
      return &table;
    }
    ++at;
  }
  return nullptr;
}

// Upper tables first: they name the others.
PageCount MemoryObject::give_up_tables(Tables which) {
  std::uint64_t given_up = 0;
  for (Level level = kHighestLentLevel;; level = level.below()) {
    std::int64_t from = std::numeric_limits<std::int64_t>::min();
    while (Frame* const table = give_up_table(level, which, from)) {
      release_table(memory_, *table);
      ++given_up;
    }
    if (level == kLeafLevel) return PageCount(given_up);
  }
}

PageCount MemoryObject::drop_idle_tables() { return lent_.load() == 0 ? PageCount(0) : give_up_tables(Tables::kIdle); }

bool MemoryObject::lends_for_audit(const Frame& table) {
  SpinGuard guard(lock_, LockRank::kAttachment);
  return table.table.attachments != nullptr && table.table.attachments->sequence < kFirstSequence;
}

std::int64_t MemoryObject::first_position_of(PageIndex index) const {
  return static_cast<std::int64_t>(index.raw()) - (static_cast<std::int64_t>(memory_.geometry().slots()) - 1);
}

bool MemoryObject::next_step(PageIndex last, Step& step) {
  Attachment after;
  after.first_index = step.first_index;
  after.sequence = step.sequence;
  SpinGuard guard(lock_, LockRank::kAttachment);
  auto found = index_.upper_bound(after);
  while (found != index_.end() && found->table->level != step.level) ++found;  // no entry of the page is in a table of another level
  const auto end = static_cast<std::int64_t>(last.raw());
  if (found == index_.end() || found->first_index > end) return false;
  step = Step{step.level, found->table, found->first_index, found->sequence};
  return true;
}

bool MemoryObject::is_attached(const Step& step) {
  Attachment wanted;
  wanted.first_index = step.first_index;
  wanted.sequence = step.sequence;
  SpinGuard guard(lock_, LockRank::kAttachment);
  const auto found = index_.find(wanted);
  if (found == index_.end() || found->table != step.table) return false;
  QUIRE_DEBUG_ASSERT(step.table->level == step.level, "a page has no entry in a table of another level");
  return true;
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
