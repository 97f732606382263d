#include "quire/object/registry.h"

#include "quire/memory_manager.h"
#include "quire/object/memory_object.h"

namespace quire {

ObjectRegistry::Shard& ObjectRegistry::shard_of(const MemoryObject* address) { return shards_[SlabPool::cpu_of(memory_, address)]; }

void ObjectRegistry::add(MemoryObject& object) {
  Shard& shard = shard_of(&object);
  const SpinGuard guard(shard.lock, LockRank::kObjectList);
  object.next_living_ = shard.first;
  object.link_living_ = &shard.first;
  if (shard.first != nullptr) shard.first->link_living_ = &object.next_living_;
  shard.first = &object;
}

void ObjectRegistry::remove(MemoryObject& object) {
  Shard& shard = shard_of(&object);
  const SpinGuard guard(shard.lock, LockRank::kObjectList);
  *object.link_living_ = object.next_living_;
  if (object.next_living_ != nullptr) object.next_living_->link_living_ = object.link_living_;
}

MemoryObject* ObjectRegistry::next_for_audit(const MemoryObject* object) TA_ATTRIBUTE(no_thread_safety_analysis) {
  if (object != nullptr && object->next_living_ != nullptr) return object->next_living_;
  for (Shard* shard = object == nullptr ? shards_ : &shard_of(object) + 1; shard != shards_ + platform::kMaxCpus; ++shard) {
    if (shard->first != nullptr) return shard->first;
  }
  return nullptr;
}

MemoryObject* ObjectRegistry::hold_or_null(const MemoryObject* address) {
  Shard& shard = shard_of(address);
  const SpinGuard guard(shard.lock, LockRank::kObjectList);
  for (MemoryObject* object = shard.first; object != nullptr; object = object->next_living_) {
    if (object != address) continue;
    // An object whose last hold is gone waits for this lock to leave; it is not brought back.
    std::uint64_t holds = object->holds_.load();
    do {
      if (holds == 0) return nullptr;
    } while (!object->holds_.compare_exchange(holds, holds + MemoryObject::kUser));
    return object;
  }
  return nullptr;
}

}  // namespace quire
