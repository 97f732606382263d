// What the kernel calls itself: uname(2), /proc/version, /proc/sys/kernel.
#pragma once

#include <string_view>

namespace quire::kernel {

/// glibc asks for at least the Linux release it was built for (product.md 3: "like 6.1.0-quire").
inline constexpr std::string_view kKernelRelease = "6.1.0-quire";
inline constexpr std::string_view kKernelVersion = "#1 SMP Quire 0.1";

}  // namespace quire::kernel
