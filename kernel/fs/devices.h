// Character devices by number: /dev/null, zero, full, random, urandom (major 1), and what the
// terminals' area answers for (major 5).
#pragma once

#include <cstdint>

#include "fs/vfs.h"

namespace quire::kernel {

/// A device number as st_rdev and mknod(2) have it. Linux v6.12
/// include/linux/kdev_t.h:new_encode_dev().
[[nodiscard]] constexpr std::uint64_t device_number(std::uint32_t major, std::uint32_t minor) {
  return (minor & 0xffU) | (std::uint64_t{major & 0xfffU} << 8) |
         (std::uint64_t{minor & ~0xffU} << 12);
}
[[nodiscard]] constexpr std::uint32_t device_major(std::uint64_t number) {
  return static_cast<std::uint32_t>((number >> 8) & 0xfff);
}
[[nodiscard]] constexpr std::uint32_t device_minor(std::uint64_t number) {
  return static_cast<std::uint32_t>((number & 0xff) | ((number >> 12) & 0xfff00));
}

/// Opens the device that a device file of these attributes stands for. Errors: ENXIO.
Result<RefPtr<File>> open_device(const Attributes& attributes, std::uint32_t flags);

}  // namespace quire::kernel
