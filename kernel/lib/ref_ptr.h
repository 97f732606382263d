// A counted pointer to an object that carries its own count.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace quire::kernel {

/// Base of counted objects. Starts at 1: the creator's. `make_ref` and `adopt_ref` take that one over.
class RefCounted {
 public:
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  void ref() const { count_.fetch_add(1, std::memory_order_relaxed); }
  void unref() const {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  /// unref() where the object may not end: false, and nothing done, if this is its last reference.
  [[nodiscard]] bool unref_unless_last() const {
    std::uint32_t count = count_.load(std::memory_order_relaxed);
    while (count > 1 && !count_.compare_exchange_weak(count, count - 1, std::memory_order_acq_rel)) {
    }
    return count > 1;
  }
  /// ref() for an object whose last reference may just have gone: false then.
  [[nodiscard]] bool ref_unless_zero() const {
    std::uint32_t count = count_.load(std::memory_order_relaxed);
    while (count != 0 && !count_.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel)) {
    }
    return count != 0;
  }
  [[nodiscard]] std::uint32_t ref_count() const { return count_.load(std::memory_order_relaxed); }

 protected:
  RefCounted() = default;
  virtual ~RefCounted() = default;

 private:
  mutable std::atomic<std::uint32_t> count_{1};
};

template <typename T>
class RefPtr {
 public:
  RefPtr() = default;
  RefPtr(std::nullptr_t) {}  // NOLINT: null converts
  explicit RefPtr(T* object) : object_(object) {
    if (object_ != nullptr) object_->ref();
  }
  RefPtr(const RefPtr& other) : RefPtr(other.object_) {}
  RefPtr(RefPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename U>
  RefPtr(const RefPtr<U>& other) : RefPtr(other.get()) {}  // NOLINT: upcast
  template <typename U>
  RefPtr(RefPtr<U>&& other) noexcept : object_(other.leak()) {}  // NOLINT: upcast
  RefPtr& operator=(RefPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~RefPtr() {
    if (object_ != nullptr) object_->unref();
  }
  [[nodiscard]] T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const RefPtr& a, const RefPtr& b) { return a.object_ == b.object_; }
  /// Gives up the reference without dropping it.
  [[nodiscard]] T* leak() { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

template <typename T>
RefPtr<T> adopt_ref(T* object) {
  RefPtr<T> r(object);
  if (object != nullptr) object->unref();
  return r;
}
/// A reference to an object known from a list that does not count: null if its last reference is gone and it is about to take itself
/// off the list. Pre: the list's lock, which the object's destructor takes, is held.
template <typename T>
RefPtr<T> try_ref(T& object) {
  if (!object.ref_unless_zero()) return nullptr;
  return adopt_ref(&object);
}
template <typename T, typename... Args>
RefPtr<T> make_ref(Args&&... args) {
  return adopt_ref(new T(std::forward<Args>(args)...));
}

}  // namespace quire::kernel
