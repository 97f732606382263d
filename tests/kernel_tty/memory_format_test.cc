#include "fs/procfs/memory_format.h"

#include <gtest/gtest.h>
#include <linux/kernel-page-flags.h>

#include <fstream>
#include <string>
#include <vector>

namespace quire::kernel {
namespace {

Vma mapping() {
  Vma vma;
  vma.range = VirtRange(VirtAddr(0x7f0000000000), ByteCount(0x8000));
  vma.prot = kProtReadWrite;
  vma.flags = VmaFlag::kMayWrite | VmaFlag::kAccounted;
  return vma;
}

RangeFigures figures() {
  RangeFigures f;
  f.resident = PageCount(3);
  f.shared_dirty = PageCount(2);
  f.private_dirty = PageCount(1);
  f.referenced = f.anonymous = f.dirty = PageCount(3);
  f.pss = f.pss_dirty = f.pss_anon = pss_of_page(1) + 2 * pss_of_page(3);
  f.most_mappings = 3;
  return f;
}

std::string key(const std::string& line) { return line.substr(0, line.find(':')); }

/// The lines of the first mapping in the host's file, without the line of maps.
std::vector<std::string> host_lines(const char* file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    lines.push_back(line);
    if (key(line) == "VmFlags") break;
  }
  return lines;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// Ours are among the host's, in its order and columns.
void expect_as_on_host(const std::vector<std::string>& ours, const std::vector<std::string>& host) {
  auto at = host.begin();
  for (const std::string& line : ours) {
    while (at != host.end() && key(*at) != key(line)) ++at;
    if (at == host.end()) GTEST_SKIP() << "this host's kernel has no " << key(line);
    if (key(line) != "VmFlags") {
      EXPECT_EQ(at->size(), line.size()) << line;
    }
  }
}

TEST(MemoryFormat, SmapsHasLinuxsLinesAndColumns) {
  std::string text;
  format_smaps_figures(mapping(), figures(), text);
  expect_as_on_host(split(text), host_lines("/proc/self/smaps"));
  EXPECT_NE(text.find("Size:                 32 kB\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Rss:                  12 kB\n"), std::string::npos);
  EXPECT_NE(text.find("Pss:                   6 kB\n"), std::string::npos);
  EXPECT_NE(text.find("Shared_Dirty:          8 kB\n"), std::string::npos);
  EXPECT_NE(text.find("VmFlags: rd wr mr mw me ac sd \n"), std::string::npos);
}

TEST(MemoryFormat, SmapsShowsWhatIsLocked) {
  Vma vma = mapping();
  vma.flags = vma.flags | VmaFlag::kLocked;
  std::string text;
  format_smaps_figures(vma, figures(), text);
  EXPECT_NE(text.find("Locked:                6 kB\n"), std::string::npos);
  EXPECT_NE(text.find("VmFlags: rd wr mr mw me lo ac sd \n"), std::string::npos);
}

TEST(MemoryFormat, RollupHasLinuxsLinesAndColumns) {
  std::string text;
  format_smaps_rollup(mapping().range, figures(), 0, text);
  std::vector<std::string> ours = split(text);
  EXPECT_EQ(ours[0].find("7f0000000000-7f0000008000 ---p 00000000 00:00 0 "), 0U);
  EXPECT_EQ(ours[0].find("[rollup]"), 73U);
  ours.erase(ours.begin());
  expect_as_on_host(ours, host_lines("/proc/self/smaps_rollup"));
}

TEST(MemoryFormat, NumaMapsGivesOneNode) {
  std::string text;
  format_numa_mapping(mapping(), Layout{}, figures(), nullptr, text);
  EXPECT_EQ(text, "7f0000000000 default anon=3 dirty=3 mapmax=3 N0=3 kernelpagesize_kB=4\n");
  text.clear();
  format_numa_mapping(mapping(), Layout{}, RangeFigures{}, nullptr, text);
  EXPECT_EQ(text, "7f0000000000 default\n");
}

TEST(MemoryFormat, PagemapHasLinuxsBits) {
  constexpr std::uint64_t kPresent = 1ULL << 63, kFile = 1ULL << 61, kExclusive = 1ULL << 56;
  EXPECT_EQ(pagemap_word(PageState{}, FrameNumbers::kShown), 0U);
  PageState page{
      .present = true, .exclusive = true, .counted = true, .mappings = 1, .frame = Pfn(0x1234)};
  EXPECT_EQ(pagemap_word(page, FrameNumbers::kShown), kPresent | kExclusive | 0x1234);
  EXPECT_EQ(pagemap_word(page, FrameNumbers::kHidden), kPresent | kExclusive);
  page.exclusive = false;
  page.of_object = true;
  EXPECT_EQ(pagemap_word(page, FrameNumbers::kHidden), kPresent | kFile);
}

TEST(MemoryFormat, ATableIsALine) {
  TableRecord table;
  table.level = Level(1);
  table.range = VirtRange(VirtAddr(0x200000), ByteCount(0x200000));
  table.frame = Pfn(0xabc);
  table.share = 2;
  table.reach = 5;
  table.live = 7;
  table.leaves[static_cast<unsigned>(LeafClass::kAnon)] = 6;
  std::string text;
  format_table(table, 512, FrameNumbers::kShown, text);
  EXPECT_EQ(text, "1 000000200000-000000400000 00000abc 2 5 7/512 6 0 0 s\n");
}

TEST(MemoryFormat, FramesHaveTheirFlags) {
  Frame frame{};
  EXPECT_EQ(page_flags_word(frame), 1ULL << KPF_BUDDY);
  frame.kind = FrameKind::kAnon;
  frame.counts.store(Frame::kOneLeaf);
  EXPECT_EQ(page_flags_word(frame), (1ULL << KPF_ANON) | (1ULL << KPF_MMAP) |
                                        (1ULL << KPF_SWAPBACKED) | (1ULL << KPF_UPTODATE));
  frame.kind = FrameKind::kTable;
  EXPECT_EQ(page_flags_word(frame), 1ULL << KPF_PGTABLE);
}

}  // namespace
}  // namespace quire::kernel
