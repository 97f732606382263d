// Capabilities: what root may do, in parts that can be given up (man7 capabilities(7)). Files have none, so a program that does not become
// root gets none; the bounding set is always full, the ambient set always empty, and nothing keeps them over a change of user.
#pragma once

#include <linux/capability.h>

#include <cstdint>

namespace quire::kernel {

struct Capabilities {
  std::uint64_t permitted = 0, effective = 0, inheritable = 0;

  static constexpr std::uint64_t kAll = (std::uint64_t{2} << CAP_LAST_CAP) - 1;
  static constexpr Capabilities of_root() { return {.permitted = kAll, .effective = kAll, .inheritable = 0}; }
  [[nodiscard]] static constexpr bool contains(std::uint64_t set, unsigned capability) { return (set >> capability & 1) != 0; }
};

}  // namespace quire::kernel
