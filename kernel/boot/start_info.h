// What QEMU tells at boot: PVH's hvm_start_info (memory map, command line, the launch block as module 0).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "arch/paging.h"

namespace quire::kernel {

/// A copy, because the original lies in memory that is given away.
struct StartInfo {
  std::array<PhysicalRange, 32> ram{};
  std::size_t ram_count = 0;
  PhysicalRange launch_block{};  ///< empty if there is none
  std::array<char, 4096> command_line{};

  [[nodiscard]] std::span<const PhysicalRange> ram_ranges() const { return {ram.data(), ram_count}; }
  [[nodiscard]] std::string_view command() const { return command_line.data(); }
};

/// Reads the structure at a physical address below 1 GiB. Pre: the boot tables are loaded.
const StartInfo& read_start_info(std::uint64_t physical);
const StartInfo& start_info();

}  // namespace quire::kernel
