#include "fs/procfs/system_figures.h"

#include "fs/procfs/memory_statistics.h"
#include "fs/procfs/text.h"
#include "mm/memory.h"
#include "quire/space/observe.h"
#include "quire/stats/counters.h"
#include "sched/thread.h"
#include "task/task.h"
#include "time/clock.h"

namespace quire::kernel {

MemoryFigures memory_figures() {
  MemoryManager& manager = memory();
  HugePool& huge = manager.huge().of(HugePools::kSmallest);
  return {.total = manager.pool().total_frames().raw(),
          .free = manager.pool().free_frames().raw(),
          .reserve = manager.config().kernel_reserve.raw(),
          .tables = manager.tables_in_use().raw(),
          .all_huge = manager.huge().frames().raw(),
          .huge_size = huge.page_size().raw(),
          .huge = huge.figures()};
}

void count_pages(MemoryFigures& figures) {
  const FrameFigures frames = count_frames(memory());
  figures.anon = frames.anon.raw();
  figures.mapped = frames.mapped_objects.raw();
}

SystemFigures system_figures() {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  SystemFigures figures;
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    const CpuTimes times = cpu_times(cpu);
    figures.cpus.push_back({times.user_ns, times.kernel_ns, times.idle_ns});
    figures.context_switches += times.switches;
  }
  const LoadFigures load = load_figures();
  figures.boot_time_s = (realtime_ns() - monotonic_ns()) / kNsPerSecond;
  figures.forks = static_cast<std::uint64_t>(load.last_pid);
  figures.runnable = load.runnable;
  return figures;
}

void write_memory_statistics(std::string& out) {
  TextBuilder text(out);
  const auto line = [&text](std::string_view name, std::uint64_t value) {
    text.text(name).text(" ").number(value).text("\n");
  };
  MemoryFigures figures = memory_figures();
  count_pages(figures);
  line("nr_free_pages", figures.free);
  line("nr_anon_pages", figures.anon);
  line("nr_mapped", figures.mapped);
  line("nr_page_table_pages", figures.tables);
  line("nr_page_table_shared", count_shared_tables(memory()).raw());
  line("pgfault", memory().counters().sum(Counter::kFaultMinor) +
                      memory().counters().sum(Counter::kFaultMajor));
  for (unsigned i = 0; i < kCounterCount; ++i)
    line(kCounterNames[i], memory().counters().sum(static_cast<Counter>(i)));
}

}  // namespace quire::kernel
