// The inline half of the seam where nothing watches: the kernel, the freestanding check and release builds.
#pragma once

#include <cstdint>

namespace quire::hooks {

inline void yield_point(const char*, const void*) {}
inline void lock_acquired(unsigned, std::uint64_t, const void*) {}
inline void lock_released(const void*) {}

}  // namespace quire::hooks
