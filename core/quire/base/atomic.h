// Atomics as core uses them: trivial (they live in zero-filled descriptors), ordered by default, and a yield point each, so that
// the explorer can switch threads at every one of them.
#pragma once

#include <quire_hooks.h>

#include <cstdint>

namespace quire {

/// An integer or pointer accessed by several threads. Loads acquire, stores release, read-modify-writes are sequentially consistent.
template <typename T>
struct Atomic {
  T value_;

  [[nodiscard]] T load() const {
    hooks::yield_point("load", this);
    return __atomic_load_n(&value_, __ATOMIC_ACQUIRE);
  }
  [[nodiscard]] T load_relaxed() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }
  void store(T value) {
    hooks::yield_point("store", this);
    __atomic_store_n(&value_, value, __ATOMIC_RELEASE);
  }
  void store_relaxed(T value) { __atomic_store_n(&value_, value, __ATOMIC_RELAXED); }
  T fetch_add(T n) {
    hooks::yield_point("fetch_add", this);
    return __atomic_fetch_add(&value_, n, __ATOMIC_SEQ_CST);
  }
  T fetch_sub(T n) {
    hooks::yield_point("fetch_sub", this);
    return __atomic_fetch_sub(&value_, n, __ATOMIC_SEQ_CST);
  }
  /// Replaces `expected` by `desired`; on failure `expected` becomes what is there.
  [[nodiscard]] bool compare_exchange(T& expected, T desired) {
    hooks::yield_point("compare_exchange", this);
    return __atomic_compare_exchange_n(&value_, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
  }
};

/// A small trivial value that some threads look at while its owner changes it, for what they then decide under a lock or look at again.
/// No order, no yield point; used like a plain T.
template <typename T>
struct Relaxed {
  T value_;

  operator T() const {  // NOLINT(google-explicit-constructor): stands for a plain field
    T value;
    __atomic_load(&value_, &value, __ATOMIC_RELAXED);
    return value;
  }
  Relaxed& operator=(T value) {
    __atomic_store(&value_, &value, __ATOMIC_RELAXED);
    return *this;
  }
  /// Only `expected` is replaced.
  void replace_if(T expected, T desired) {
    __atomic_compare_exchange(&value_, &expected, &desired, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
};

}  // namespace quire
