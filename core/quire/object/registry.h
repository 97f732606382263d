// Which memory objects live, by address: how a walk that starts at a page gets hold of the page's object (R24, S4.30).
//
// A page names its object by a pointer that nothing keeps good: entries go, and the object with the last of them, while the page waits for
// a flush or is held by a pipe; the object's memory becomes another's. So the pointer is compared, not followed, until it is found here. If
// another object lives at the address by then, the walk finds no entry of the page there: a page with entries has its object alive (I11).
//
// Life cycle: one in the MemoryManager; each object is in it from its constructor to its last hold. Sharded as the pools that objects come
// from are, so that processes that begin and end do not meet (S0.65). Locks: rank kObjectList, inside table locks, because objects end
// when their last table leaves them.
#pragma once

#include <cstdint>

#include "quire/base/lock.h"
#include "quire/platform.h"

namespace quire {

class MemoryManager;
class MemoryObject;

class ObjectRegistry {
 public:
  explicit constexpr ObjectRegistry(const MemoryManager& memory) : memory_(memory) {}

  void add(MemoryObject& object);
  void remove(MemoryObject& object);
  /// Holds the object at `address` as a user if one lives there; else null. `address` is not followed.
  [[nodiscard]] MemoryObject* hold_or_null(const MemoryObject* address);
  /// For audits: the object after `object` (null: the first), or null. The machine stands still.
  [[nodiscard]] MemoryObject* next_for_audit(const MemoryObject* object);

 private:
  struct alignas(64) Shard {
    SpinLock lock;
    MemoryObject* first TA_GUARDED(lock) = nullptr;
  };
  Shard& shard_of(const MemoryObject* address);

  const MemoryManager& memory_;
  Shard shards_[platform::kMaxCpus];
};

}  // namespace quire
