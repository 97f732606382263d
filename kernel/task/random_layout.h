// Where the parts of a new program lie: moved at random, as Linux does, or always at the same places (man7 personality(2),
// proc_sys_kernel(5)).
//
// What is random comes from the machine's generator: in an exact run, where that is seeded, two runs are alike.
#pragma once

#include <atomic>
#include <cstdint>

namespace quire::kernel {

/// ADDR_NO_RANDOMIZE; linux/personality.h cannot be included beside the C library's.
inline constexpr std::uint32_t kAddressNoRandomize = 0x0040000;

/// /proc/sys/kernel/randomize_va_space. 0: nothing is moved; 2 and above: the heap, too.
extern constinit std::atomic<int> randomize_va_space;

/// Bytes by which parts are moved; all 0 unless `is_random`.
struct RandomLayout {
  bool is_random = false;
  bool moves_heap = false;
  std::uint64_t stack = 0;          ///< its top, downward
  std::uint64_t stack_pointer = 0;  ///< downward, below the strings
  std::uint64_t mappings = 0;       ///< where mmap begins, downward
  std::uint64_t program = 0;        ///< a position-independent program, upward
  std::uint64_t heap = 0;           ///< upward

  /// Furthest that a stack is moved (Linux v6.12 fs/binfmt_elf.c:randomize_stack_top()).
  static constexpr std::uint64_t kMostStack = std::uint64_t{0x3fffff} << 12;
};
/// For a program that is started with this personality.
[[nodiscard]] RandomLayout random_layout(std::uint32_t personality);

}  // namespace quire::kernel
