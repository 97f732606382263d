// Small objects of one size, cut from frames: nodes, attachments, objects, address spaces. The only heap of core.
//
// Life cycle: a pool per type, in the MemoryManager. Frames are taken when needed and given back when their last object goes. Memory is
// not cleared. Out of memory is null.
// Each CPU has a share of its own, so that actors that have nothing in common meet nowhere (S0.65): what it takes comes from its frames,
// and goes back to them, whoever gives it. Locks: the share's.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

#include "quire/base/lock.h"
#include "quire/frame/frame.h"
#include "quire/platform.h"

namespace quire {

class MemoryManager;

/// Untyped pool of objects of `size` bytes.
class SlabPool {
 public:
  void init(MemoryManager& memory, const char* name, std::uint32_t size);
  [[nodiscard]] void* take_or_null();
  void give(void* object);
  /// Exact at rest.
  [[nodiscard]] std::uint64_t in_use() const;
  /// The CPU in whose share the object at `address` is, if one lives there; else any number below kMaxCpus. `address` is not followed.
  [[nodiscard]] static unsigned cpu_of(const MemoryManager& memory, const void* address);
  [[nodiscard]] const char* name() const { return name_; }

 private:
  struct alignas(64) Share {
    SpinLock lock;
    Frame* partial TA_GUARDED(lock) = nullptr;  ///< frames with a free object
    Relaxed<std::uint64_t> in_use{0};           ///< changed under the lock

    void link(Frame& frame) TA_REQ(lock);
    void unlink(Frame& frame) TA_REQ(lock);
  };

  MemoryManager* memory_ = nullptr;
  const char* name_ = "";
  std::uint32_t size_ = 0, per_frame_ = 0;
  [[nodiscard]] Frame* add_frame(Share& share, unsigned cpu) TA_REQ(share.lock);
  [[nodiscard]] Frame* settle(Share& share, Frame& frame) TA_REQ(share.lock);
  void release(Frame* gone);

  Share shares_[platform::kMaxCpus];
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
