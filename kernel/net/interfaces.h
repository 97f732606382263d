// The one network interface there is: lo.
#pragma once

#include <cstdint>

#include "quire/base/errno.h"

namespace quire::kernel {

inline constexpr char kLoopbackName[] = "lo";
inline constexpr int kLoopbackIndex = 1, kLoopbackMtu = 65536, kLoopbackQueue = 1000;

/// ioctl(2) of any socket about interfaces: SIOCGIF*. Errors: ENOTTY for others, ENODEV, EFAULT.
Result<std::int64_t> interface_ioctl(std::uint32_t command, std::uint64_t argument);

}  // namespace quire::kernel
