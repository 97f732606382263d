// Names of the kernel's functions, from the table that the second link puts into the image.
#pragma once

#include <cstdint>
#include <string_view>

namespace quire::kernel {

struct Symbol {
  std::string_view name;  ///< empty: unknown
  std::uint64_t offset = 0;
};
/// The function that `address` lies in.
Symbol find_symbol(std::uint64_t address);

}  // namespace quire::kernel
