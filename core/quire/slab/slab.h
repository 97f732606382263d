// Small objects of one size, cut from frames: nodes, attachments, objects, address spaces. The only heap of core.
//
// Life cycle: a pool per type, in the MemoryManager. Frames are taken when needed and given back when their last object goes. Memory is
// not cleared. Locks: the pool's own. Out of memory is null.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

#include "quire/base/lock.h"
#include "quire/frame/frame.h"

namespace quire {

class MemoryManager;

/// Untyped pool of objects of `size` bytes.
class SlabPool {
 public:
  void init(MemoryManager& memory, const char* name, std::uint32_t size);
  [[nodiscard]] void* take_or_null();
  void give(void* object);
  [[nodiscard]] std::uint64_t in_use() const { return in_use_; }
  [[nodiscard]] const char* name() const { return name_; }

 private:
  void link(Frame& frame) TA_REQ(lock_);
  void unlink(Frame& frame) TA_REQ(lock_);

  MemoryManager* memory_ = nullptr;
  const char* name_ = "";
  std::uint32_t size_ = 0, per_frame_ = 0;
  SpinLock lock_;
  Frame* partial_ TA_GUARDED(lock_) = nullptr;  ///< frames with a free object
  std::uint64_t in_use_ = 0;
};

/// A pool of T.
template <typename T>
class ObjectPool {
 public:
  void init(MemoryManager& memory, const char* name) {
    static_assert(alignof(T) <= 16 && sizeof(T) <= 2048);
    slab_.init(memory, name, sizeof(T));
  }
  template <typename... Args>
  [[nodiscard]] T* make_or_null(Args&&... args) {
    void* place = slab_.take_or_null();
    return place == nullptr ? nullptr : new (place) T(std::forward<Args>(args)...);
  }
  void destroy(T* object) {
    object->~T();
    slab_.give(object);
  }
  [[nodiscard]] SlabPool& slab() { return slab_; }

 private:
  SlabPool slab_;
};

}  // namespace quire
