#include "fs/procfs/process_format.h"

#include <gtest/gtest.h>

#include <string>

// Parts of the kernel that the formatters' data refers to and the tests do without.
namespace quire::kernel {
ProcessSnapshot::~ProcessSnapshot() = default;
std::vector<int> FdTable::open_fds() { return {}; }
}  // namespace quire::kernel

namespace quire::kernel {
namespace {

class ProcessFormat : public ::testing::Test {
 protected:
  ProcessFormat() {
    process_.pid = 42;
    process_.parent = 7;
    process_.group = process_.session = 42;
    process_.tty_device = 0x501;
    process_.tty_group = 43;
    process_.state = 'S';
    process_.command = "sh";
    process_.tasks = {42, 50};
    process_.start_ns = 1'230'000'000;
    process_.user_ns = 50'000'000;
    process_.kernel_ns = 9'999'999;
    process_.credentials.uid = process_.credentials.euid = 1000;
    process_.credentials.groups = {4, 24};
    process_.ignored = 0x1000;
    process_.limits[7][0] = 1024;
    process_.limits[7][1] = ~std::uint64_t{0};
    memory_.present = true;
    memory_.usage.mapped = PageCount(100);
    memory_.usage.rss_anon = PageCount(20);
    memory_.usage.rss_shmem = PageCount(5);
    memory_.usage.data = PageCount(60);
    memory_.usage.stack = PageCount(33);
    memory_.usage.exec = PageCount(10);
    memory_.usage.tables = PageCount(6);
    memory_.layout.code_begin = VirtAddr(0x400000);
    memory_.layout.code_end = VirtAddr(0x402800);
  }
  [[nodiscard]] ProcessView view(Pid id = 42) const { return {process_, memory_, id, 2, 100000}; }
  template <typename Format>
  [[nodiscard]] std::string text(Format format) const {
    std::string out;
    format(view(), out);
    return out;
  }
  ProcessSnapshot process_;
  MemoryView memory_;
};

TEST_F(ProcessFormat, StatHasLinuxsFiftyTwoFields) {
  const std::string stat = text(format_process_stat);
  EXPECT_EQ(stat.substr(0, stat.find(" 0 0 0")), "42 (sh) S 7 42 42 1281 43");
  EXPECT_EQ(std::count(stat.begin(), stat.end(), ' '), 51);
  EXPECT_EQ(stat.back(), '\n');
  EXPECT_NE(stat.find(" 5 0 0 0 20 0 2 0 123 409600 25 "), std::string::npos) << stat;
  EXPECT_NE(stat.find(" 4096 0 0 0 0 17 "), std::string::npos) << stat;
}

TEST_F(ProcessFormat, StatmCountsPages) {
  EXPECT_EQ(text(format_process_statm), "100 25 5 3 0 93 0\n");
}

TEST_F(ProcessFormat, StatusHasTheMemoryBlockInKilobytes) {
  const std::string status = text(format_process_status);
  for (const char* line : {"Name:\tsh\n", "Umask:\t0022\n", "State:\tS (sleeping)\n", "Pid:\t42\n",
                           "Uid:\t1000\t1000\t0\t0\n", "Groups:\t4 24 \n", "VmSize:\t     400 kB\n",
                           "VmRSS:\t     100 kB\n", "VmExe:\t      12 kB\n",
                           "VmLib:\t      28 kB\n", "VmPTE:\t      24 kB\n", "Threads:\t2\n",
                           "SigIgn:\t0000000000001000\n", "Cpus_allowed_list:\t0-1\n"}) {
    EXPECT_NE(status.find(line), std::string::npos) << line << "in\n" << status;
  }
}

TEST_F(ProcessFormat, AZombieHasNoMemoryBlock) {
  memory_ = {};
  EXPECT_EQ(text(format_process_status).find("VmSize"), std::string::npos);
  EXPECT_EQ(text(format_process_statm), "0 0 0 0 0 0 0\n");
}

TEST_F(ProcessFormat, LimitsStandInColumns) {
  const std::string limits = text(format_process_limits);
  EXPECT_EQ(limits.substr(0, limits.find('\n') + 1),
            "Limit                     Soft Limit           Hard Limit           Units     \n");
  EXPECT_NE(
      limits.find(
          "\nMax open files            1024                 unlimited            files     \n"),
      std::string::npos);
  EXPECT_NE(limits.find("\nMax nice priority         0                    0                    \n"),
            std::string::npos);
}

TEST_F(ProcessFormat, MapsPadTheNameToItsColumn) {
  Vma vma;
  vma.range = VirtRange(VirtAddr(0x7ffc1b2f3000), VirtAddr(0x7ffc1b314000));
  vma.prot = kProtReadWrite;
  memory_.layout.stack_begin = VirtAddr(0x7ffc1b313fe0);
  std::string out;
  format_mapping(vma, memory_.layout, nullptr, out);
  EXPECT_EQ(out,
            "7ffc1b2f3000-7ffc1b314000 rw-p 00000000 00:00 0                          [stack]\n");
  vma.range = VirtRange(VirtAddr(0x400000), VirtAddr(0x401000));
  vma.prot = kProtReadExec;
  out.clear();
  format_mapping(vma, memory_.layout, nullptr, out);
  EXPECT_EQ(out, "00400000-00401000 r-xp 00000000 00:00 0 \n");
}

}  // namespace
}  // namespace quire::kernel
