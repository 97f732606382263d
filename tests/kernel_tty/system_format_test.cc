#include "fs/procfs/system_format.h"

#include <gtest/gtest.h>

#include "task/task.h"

namespace quire::kernel {
namespace {

TEST(SystemFormat, MeminfoIsInKilobytes) {
  std::string out;
  format_meminfo({.total = 1000, .free = 600, .reserve = 100, .tables = 3}, out);
  EXPECT_EQ(
      out.substr(0, out.find("Buffers")),
      "MemTotal:           4000 kB\nMemFree:            2400 kB\nMemAvailable:       2000 kB\n");
  EXPECT_NE(out.find("PageTables:           12 kB\n"), std::string::npos) << out;
}

TEST(SystemFormat, StatSumsTheCpus) {
  SystemFigures figures;
  figures.cpus = {{10'000'000, 20'000'000, 30'000'000}, {10'000'000, 0, 5'000'000}};
  figures.context_switches = 9;
  std::string out;
  format_system_stat(figures, out);
  EXPECT_EQ(out.substr(0, out.find("ctxt")),
            "cpu  2 0 2 3 0 0 0 0 0 0\ncpu0 1 0 2 3 0 0 0 0 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\n");
}

TEST(SystemFormat, UptimeAndLoadHaveTwoDecimals) {
  std::string out;
  format_uptime({}, 61'050'000'000, out);
  EXPECT_EQ(out, "61.05 0.00\n");
  out.clear();
  format_load_average({.average = {105, 7, 0}, .runnable = 2, .tasks = 30, .last_pid = 99}, out);
  EXPECT_EQ(out, "1.05 0.07 0.00 2/30 99\n");
}

}  // namespace
}  // namespace quire::kernel
