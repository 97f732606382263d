#include "fs/procfs/memory_format.h"

#include <linux/kernel-page-flags.h>

#include <array>

#include "fs/procfs/text.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kNameWidth = 16;  ///< of a key of smaps

class Figures {
 public:
  explicit Figures(std::string& out) : text_(out) {}
  void pages(std::string_view name, PageCount n) { kilobytes(name, n.bytes().raw() >> 10); }
  void pss(std::string_view name, std::uint64_t pss) { kilobytes(name, pss >> (10 + kPssShift)); }
  void kilobytes(std::string_view name, std::uint64_t kb) { text_.kilobytes(name, kNameWidth, kb); }

 private:
  TextBuilder text_;
};

enum class Of : bool { kMapping, kRollup };

// Linux v6.12 fs/proc/task_mmu.c:__show_smap(). There are no transparent huge pages, no swap, no KSM.
void format_figures(const RangeFigures& f, std::uint64_t locked_pss, Of of, std::string& out) {
  Figures figures(out);
  figures.pages("Rss:", f.resident);
  figures.pss("Pss:", f.pss);
  figures.pss("Pss_Dirty:", f.pss_dirty);
  if (of == Of::kRollup) {
    figures.pss("Pss_Anon:", f.pss_anon);
    figures.pss("Pss_File:", f.pss_file);
    figures.pss("Pss_Shmem:", f.pss_shmem);
  }
  figures.pages("Shared_Clean:", f.shared_clean);
  figures.pages("Shared_Dirty:", f.shared_dirty);
  figures.pages("Private_Clean:", f.private_clean);
  figures.pages("Private_Dirty:", f.private_dirty);
  figures.pages("Referenced:", f.referenced);
  figures.pages("Anonymous:", f.anonymous);
  for (const std::string_view name :
       {"KSM:", "LazyFree:", "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:"})
    figures.kilobytes(name, 0);
  figures.pages("Shared_Hugetlb:", f.shared_huge);
  figures.pages("Private_Hugetlb:", f.private_huge);
  for (const std::string_view name : {"Swap:", "SwapPss:"}) figures.kilobytes(name, 0);
  figures.pss("Locked:", locked_pss);
}

// In the order of Linux's bits (Linux v6.12 fs/proc/task_mmu.c:show_smap_vma_flags()).
void format_flags(const Vma& vma, std::string& out) {
  const VmaFlags flags = vma.flags;
  const bool shared = vma.is_shared();
  const bool may_write = flags.has(VmaFlag::kMayWrite);
  struct Flag {
    const char* name;
    bool set;
  };
  const std::array<Flag, 28> all = {{
      {"rd", vma.prot.read()},
      {"wr", vma.prot.write()},
      {"ex", vma.prot.exec()},
      {"sh", shared && may_write},
      {"mr", true},
      {"mw", may_write},
      {"me", !flags.has(VmaFlag::kDevice)},
      {"ms", shared},
      {"gd", flags.has(VmaFlag::kGrowsDown)},
      {"pf", flags.has(VmaFlag::kDevice)},
      {"lo", flags.has(VmaFlag::kLocked)},
      {"io", flags.has(VmaFlag::kDevice)},
      {"sr", flags.has(VmaFlag::kSequential)},
      {"rr", flags.has(VmaFlag::kRandom)},
      {"dc", flags.has(VmaFlag::kDontFork)},
      {"de", flags.has(VmaFlag::kFixedSize) || vma.is_huge()},
      {"lf", flags.has(VmaFlag::kLockOnFault)},
      {"ac", flags.has(VmaFlag::kAccounted)},
      {"nr", flags.has(VmaFlag::kNoReserve)},
      {"ht", vma.is_huge()},
      {"wf", flags.has(VmaFlag::kWipeOnFork)},
      {"dd", flags.has(VmaFlag::kDontDump)},
      {"sd", !flags.has(VmaFlag::kTracked)},
      {"hg", flags.has(VmaFlag::kHugePage)},
      {"nh", flags.has(VmaFlag::kNoHugePage)},
      {"mg", flags.has(VmaFlag::kMergeable)},
      {"um", flags.has(VmaFlag::kAsksMissing)},
      {"uw", flags.has(VmaFlag::kAsksGuarded)},
  }};
  TextBuilder text(out);
  text.text("VmFlags: ");
  for (const Flag& flag : all) {
    if (flag.set) text.text(flag.name).text(" ");
  }
  text.text("\n");
}

}  // namespace

void format_smaps_figures(const Vma& vma, const RangeFigures& figures, std::string& out) {
  Figures head(out);
  const PageCount page = pages_of(Geometry::x86_64().span(vma.leaf_level()));
  head.pages("Size:", vma.range.pages());
  head.pages("KernelPageSize:", page);
  head.pages("MMUPageSize:", page);
  format_figures(figures, vma.flags.has(VmaFlag::kLocked) ? figures.pss : 0, Of::kMapping, out);
  TextBuilder(out).left("THPeligible:", kNameWidth).right(0, 8).text("\n");
  format_flags(vma, out);
}

void format_smaps_rollup(VirtRange range, const RangeFigures& figures, std::uint64_t locked_pss,
                         std::string& out) {
  constexpr std::size_t kNameColumn = 73;
  const std::size_t line_begin = out.size();
  TextBuilder text(out);
  text.hex(range.begin().raw(), 8).text("-").hex(range.end().raw(), 8);
  text.text(" ---p 00000000 00:00 0 ");
  text.left("", kNameColumn - (out.size() - line_begin)).text("[rollup]\n");
  format_figures(figures, locked_pss, Of::kRollup, out);
}

// Linux v6.12 fs/proc/task_mmu.c:show_numa_map().
void format_numa_mapping(const Vma& vma, const Layout& layout, const RangeFigures& figures,
                         const MappedFile* file, std::string& out) {
  TextBuilder text(out);
  text.hex(vma.range.begin().raw(), 8).text(" default");
  if (file != nullptr || vma.object != nullptr) {
    text.text(" file=").escaped(file != nullptr ? file->name : unnamed_memory(vma).name, "\n\t= ");
    if (vma.is_huge()) text.text(" huge");
  } else if (vma.range.begin() < layout.brk_end && layout.brk_begin < vma.range.end()) {
    text.text(" heap");
  } else if (vma.range.contains(layout.stack_begin)) {
    text.text(" stack");
  }
  const auto field = [&text](std::string_view name, std::uint64_t value) {
    text.text(" ").text(name).text("=").number(value);
  };
  if (figures.resident != PageCount(0)) {
    if (figures.anonymous != PageCount(0)) field("anon", figures.anonymous.raw());
    if (figures.dirty != PageCount(0)) field("dirty", figures.dirty.raw());
    if (figures.resident != figures.anonymous && figures.resident != figures.dirty)
      field("mapped", figures.resident.raw());
    if (figures.most_mappings > 1) field("mapmax", figures.most_mappings);
    field("N0", figures.resident.raw());
    field("kernelpagesize_kB", kPageSize / 1024);
  }
  text.text("\n");
}

void format_table(const TableRecord& table, unsigned slots, FrameNumbers frames, std::string& out) {
  TextBuilder text(out);
  text.number(table.level.raw()).text(" ").hex(table.range.begin().raw(), 12);
  text.text("-").hex(table.range.end().raw(), 12).text(" ");
  text.hex(frames == FrameNumbers::kShown ? table.frame.raw() : 0, 8);
  text.text(" ").number(table.share).text(" ").number(table.reach);
  text.text(" ").number(table.zero ? slots : table.live).text("/").number(slots);
  for (const LeafClass leaf_class : {LeafClass::kAnon, LeafClass::kFile, LeafClass::kShmem})
    text.text(" ").number(table.leaves[static_cast<unsigned>(leaf_class)]);
  text.text(" ").text(table.writable ? "w" : "").text(table.reach > 1 ? "s" : "");
  text.text(table.zero ? "z" : "");
  text.text(table.writable || table.reach > 1 || table.zero ? "\n" : "-\n");
}

std::uint64_t pagemap_word(const PageState& page, FrameNumbers frames) {
  constexpr std::uint64_t kPresent = std::uint64_t{1} << 63, kFile = std::uint64_t{1} << 61,
                          kGuarded = std::uint64_t{1} << 57, kExclusive = std::uint64_t{1} << 56,
                          kSoftDirty = std::uint64_t{1} << 55,
                          kFrameMask = (std::uint64_t{1} << 55) - 1;
  const std::uint64_t marks = (page.guarded ? kGuarded : 0) | (page.soft_dirty ? kSoftDirty : 0);
  if (!page.present) return marks;
  return marks | kPresent | (page.of_object ? kFile : 0) | (page.exclusive ? kExclusive : 0) |
         (frames == FrameNumbers::kShown ? page.frame.raw() & kFrameMask : 0);
}

std::uint64_t page_flags_word(const Frame& frame) {
  constexpr auto bit = [](unsigned n) { return std::uint64_t{1} << n; };
  const std::uint64_t mapped = frame.leaf_entries() != 0 ? bit(KPF_MMAP) : 0;
  const std::uint64_t huge = frame.is_large() ? bit(KPF_HUGE) | bit(KPF_COMPOUND_HEAD) : 0;
  constexpr std::uint64_t kData = bit(KPF_UPTODATE) | bit(KPF_SWAPBACKED);
  switch (frame.kind) {
    case FrameKind::kUntouched:
    case FrameKind::kFree:
      return bit(KPF_BUDDY);
    case FrameKind::kAnon:
      return kData | bit(KPF_ANON) | mapped | huge;
    case FrameKind::kObject:
      return kData | mapped | huge;
    case FrameKind::kHugeIdle:
      return bit(KPF_HUGE) | bit(KPF_COMPOUND_HEAD);
    case FrameKind::kHugePart:
      return bit(KPF_HUGE) | bit(KPF_COMPOUND_TAIL);
    case FrameKind::kTable:
    case FrameKind::kLentTable:
      return bit(KPF_PGTABLE);
    case FrameKind::kZero:
      return bit(KPF_ZERO_PAGE);
    case FrameKind::kSlab:
    case FrameKind::kRadix:
      return bit(KPF_SLAB);
    case FrameKind::kFailed:
      return bit(KPF_HWPOISON);
    case FrameKind::kHeld:
    case FrameKind::kKernel:
      return 0;
  }
  return 0;
}

}  // namespace quire::kernel
