// The only way to user memory: copies that survive bad pointers. A bad pointer gives EFAULT, never a crash; faults are resolved by the
// page fault handler (so these may sleep), failures land in a fix-up. SMAP is lifted only inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "quire/base/errno.h"

namespace quire::kernel {

/// An address a program gave us. Never dereferenced.
using UserAddr = std::uint64_t;

Result<void> copy_from_user(void* to, UserAddr from, std::size_t size);
Result<void> copy_to_user(UserAddr to, const void* from, std::size_t size);
/// Fills with zeros.
Result<void> clear_user(UserAddr to, std::size_t size);
/// A NUL-terminated string of at most `limit` bytes, NUL included. Errors: EFAULT, ENAMETOOLONG.
Result<std::string> copy_string_from_user(UserAddr from, std::size_t limit);

template <typename T>
Result<T> get_user(UserAddr from) {
  T value;
  QUIRE_CHECK(copy_from_user(&value, from, sizeof value));
  return value;
}
template <typename T>
Result<void> put_user(UserAddr to, const T& value) {
  return copy_to_user(to, &value, sizeof value);
}
/// Atomic compare-and-exchange of an aligned 32-bit user word (futex). Returns the old value.
Result<std::uint32_t> user_cmpxchg32(UserAddr address, std::uint32_t expected, std::uint32_t desired);
Result<std::uint32_t> user_load32(UserAddr address);

}  // namespace quire::kernel
