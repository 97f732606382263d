// Limits of inotify, which /proc/sys/fs/inotify tells.
#pragma once

#include <cstdint>

namespace quire::kernel {

inline constexpr std::uint64_t kMostInotifies = 128, kMostWatches = 8192, kMostQueuedEvents = 16384;

}  // namespace quire::kernel
