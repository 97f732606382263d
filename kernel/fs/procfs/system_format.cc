#include "fs/procfs/system_format.h"

#include "fs/procfs/text.h"
#include "quire/base/types.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kNsPerTick =
    10'000'000;  ///< USER_HZ is 100, so ticks are hundredths of a second too

void format_cpu(const CpuFigures& cpu, std::string& out) {
  TextBuilder text(out);
  // user nice system idle iowait irq softirq steal guest guest_nice
  text.number(cpu.user_ns / kNsPerTick).text(" 0 ").number(cpu.kernel_ns / kNsPerTick).text(" ");
  text.number(cpu.idle_ns / kNsPerTick).text(" 0 0 0 0 0 0\n");
}

CpuFigures sum(const SystemFigures& figures) {
  CpuFigures all;
  for (const CpuFigures& cpu : figures.cpus) {
    all.user_ns += cpu.user_ns;
    all.kernel_ns += cpu.kernel_ns;
    all.idle_ns += cpu.idle_ns;
  }
  return all;
}

}  // namespace

void format_meminfo(const MemoryFigures& figures, std::string& out) {
  constexpr std::size_t kNameWidth = 16;
  TextBuilder text(out);
  const auto line = [&text](std::string_view name, std::uint64_t pages) {
    text.kilobytes(name, kNameWidth, pages * (kPageSize / 1024));
  };
  line("MemTotal:", figures.total);
  line("MemFree:", figures.free);
  line("MemAvailable:", figures.free > figures.reserve ? figures.free - figures.reserve : 0);
  for (const std::string_view name :
       {"Buffers:", "Cached:", "SwapCached:", "SwapTotal:", "SwapFree:"})
    line(name, 0);
  line("AnonPages:", figures.anon);
  line("Mapped:", figures.mapped);
  line("PageTables:", figures.tables);
  const auto count = [&text](std::string_view name, std::uint64_t pages) {
    text.left(name, kNameWidth).right(pages, 8).text("\n");
  };
  count("HugePages_Total:", figures.huge.total);
  count("HugePages_Free:", figures.huge.idle);
  count("HugePages_Rsvd:", figures.huge.reserved);
  count("HugePages_Surp:", figures.huge.surplus);
  line("Hugepagesize:", figures.huge_size);
  line("Hugetlb:", figures.all_huge);
}

void format_system_stat(const SystemFigures& figures, std::string& out) {
  TextBuilder text(out);
  text.text("cpu  ");
  format_cpu(sum(figures), out);
  for (std::size_t i = 0; i < figures.cpus.size(); ++i) {
    text.text("cpu").number(i).text(" ");
    format_cpu(figures.cpus[i], out);
  }
  text.text("ctxt ").number(figures.context_switches);
  text.text("\nbtime ").number(figures.boot_time_s);
  text.text("\nprocesses ").number(figures.forks);
  text.text("\nprocs_running ").number(figures.runnable).text("\nprocs_blocked 0\n");
}

void format_uptime(const SystemFigures& figures, std::uint64_t uptime_ns, std::string& out) {
  TextBuilder text(out);
  text.hundredths(uptime_ns / kNsPerTick)
      .text(" ")
      .hundredths(sum(figures).idle_ns / kNsPerTick)
      .text("\n");
}

void format_load_average(const LoadFigures& load, std::string& out) {
  TextBuilder text(out);
  for (const std::uint32_t average : load.average) text.hundredths(average).text(" ");
  text.number(load.runnable)
      .text("/")
      .number(load.tasks)
      .text(" ")
      .number(load.last_pid)
      .text("\n");
}

}  // namespace quire::kernel
