// What the system-wide files show, gathered from core, the scheduler and the tasks; plain data for
// the formatters.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "quire/frame/huge_pool.h"

namespace quire::kernel {

/// Pages.
struct MemoryFigures {
  std::uint64_t total = 0, free = 0, reserve = 0, tables = 0;
  std::uint64_t anon = 0, mapped = 0;  ///< count_pages()
  std::uint64_t all_huge = 0;          ///< in huge pages of all sizes
  std::uint64_t huge_size = 0;         ///< of one of the pool that follows
  HugePool::Figures huge{};
};
MemoryFigures memory_figures();
/// Adds what takes a look at every frame.
void count_pages(MemoryFigures& figures);

/// Nanoseconds since boot.
struct CpuFigures {
  std::uint64_t user_ns = 0, kernel_ns = 0, idle_ns = 0;
};
struct SystemFigures {
  std::vector<CpuFigures> cpus;
  std::uint64_t context_switches = 0, boot_time_s = 0, forks = 0, runnable = 0;
};
SystemFigures system_figures();

}  // namespace quire::kernel
