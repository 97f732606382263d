// Assertions: broken invariants stop the machine, with the invariant's id in the message.
//
// QUIRE_ASSERT is O(1) and on in every build. QUIRE_DEBUG_ASSERT is on in debug and hosted test builds (QUIRE_CHECKS).
#pragma once

namespace quire {

/// Reports a broken invariant and does not return (platform::panic). In hosted tests a handler may be installed to see it.
[[noreturn]] void assertion_failed(const char* condition, const char* message, const char* file, int line);

}  // namespace quire

#define QUIRE_ASSERT(condition, message)                                                            \
  (__builtin_expect(static_cast<bool>(condition), 1)                                                \
       ? static_cast<void>(0)                                                                       \
       : ::quire::assertion_failed(#condition, message, __FILE__, __LINE__))

#ifdef QUIRE_CHECKS
#define QUIRE_DEBUG_ASSERT(condition, message) QUIRE_ASSERT(condition, message)
#else
#define QUIRE_DEBUG_ASSERT(condition, message) static_cast<void>(0)
#endif
