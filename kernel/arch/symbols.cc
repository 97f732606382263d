#include "arch/symbols.h"

#include <algorithm>
#include <span>

#include "arch/layout.h"

extern "C" {
// kernel/symbols.cmake writes these: offsets from the image's base in ascending order, for each the
// position of its name, and the names. Empty in the first link.
extern const std::uint32_t symbol_offsets[], symbol_offsets_end[];
extern const std::uint32_t symbol_names[];
extern const char symbol_text[];
}

namespace quire::kernel {

Symbol find_symbol(std::uint64_t address) {
  if (address < kImageBase || address >= reinterpret_cast<std::uint64_t>(image_text_end)) return {};
  const std::span offsets(symbol_offsets, symbol_offsets_end);
  const auto offset = static_cast<std::uint32_t>(address - kImageBase);
  const auto after = std::upper_bound(offsets.begin(), offsets.end(), offset);
  if (after == offsets.begin()) return {};
  const auto index = static_cast<std::size_t>(after - offsets.begin()) - 1;
  return {symbol_text + symbol_names[index], offset - offsets[index]};
}

}  // namespace quire::kernel
