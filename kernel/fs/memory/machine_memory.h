// How large the machine is, for sizing file systems and caches.
#pragma once

#include <cstdint>

namespace quire::kernel {

/// Pages of the machine's memory.
std::uint64_t memory_pages();

}  // namespace quire::kernel
