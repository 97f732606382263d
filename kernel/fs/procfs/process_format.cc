#include "fs/devices.h"
#include "fs/procfs/process_format.h"

#include <asm/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>

#include "fs/procfs/text.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kNsPerTick = 10'000'000;  ///< USER_HZ is 100
constexpr std::uint64_t kKbPerPage = kPageSize / 1024;
constexpr int kPriorityBase = 20;
/// CAP_LAST_CAP of Linux 6.1 is 40.

std::uint64_t kb(PageCount pages) { return pages.raw() * kKbPerPage; }

/// Pages of the program's text (Linux v6.12 fs/proc/task_mmu.c:task_mem()).
PageCount text_pages(const MemoryView& memory) {
  const Layout& layout = memory.layout;
  if (layout.code_end <= layout.code_begin) return PageCount(0);
  const PageCount pages = pages_of(layout.code_end - layout.code_begin.page_floor());
  return std::min(pages, memory.usage.exec);
}

/// Fields of stat, separated by blanks.
class Fields {
 public:
  explicit Fields(std::string& out) : text_(out) {}
  template <std::integral T>
  Fields& add(T value) {
    text_.text(" ").number(value);
    return *this;
  }
  Fields& zeros(unsigned n) {
    for (; n != 0; --n) add(0);
    return *this;
  }

 private:
  TextBuilder text_;
};

std::string_view state_name(char state) {
  switch (state) {
    case 'R':
      return "R (running)";
    case 'S':
      return "S (sleeping)";
    case 'D':
      return "D (disk sleep)";
    case 'T':
      return "T (stopped)";
    case 't':
      return "t (tracing stop)";
    case 'Z':
      return "Z (zombie)";
    case 'X':
      return "X (dead)";
    default:
      return "I (idle)";
  }
}

void format_memory_block(const MemoryView& memory, std::string& out) {
  const Usage& u = memory.usage;
  TextBuilder text(out);
  const auto line = [&text](std::string_view name, PageCount pages) {
    text.text(name).text("\t").right(kb(pages), 8).text(" kB\n");
  };
  const PageCount exe = text_pages(memory);
  line("VmPeak:", std::max(u.mapped_peak, u.mapped));
  line("VmSize:", u.mapped);
  line("VmLck:", memory.locked);
  line("VmPin:", PageCount(0));
  line("VmHWM:", std::max(u.rss_peak, u.rss()));
  line("VmRSS:", u.rss());
  line("RssAnon:", u.rss_anon);
  line("RssFile:", u.rss_file);
  line("RssShmem:", u.rss_shmem);
  line("VmData:", u.data);
  line("VmStk:", u.stack);
  line("VmExe:", exe);
  line("VmLib:", u.exec - exe);
  line("VmPTE:", u.tables);
  line("VmSwap:", PageCount(0));
  line("HugetlbPages:", u.huge);
  text.text("VmPTEPss:\t").right(memory.tables.pss >> (10 + kPssShift), 8).text(" kB\n");
  line("VmPTEShared:", memory.tables.shared);
  text.text("CoreDumping:\t0\nTHP_enabled:\t0\n");
}

void format_identity_block(const ProcessView& view, std::string& out) {
  const ProcessSnapshot& p = view.process;
  const Credentials& c = p.credentials;
  TextBuilder text(out);
  const auto ids = [&text](std::string_view name, std::array<std::uint32_t, 4> values) {
    text.text(name);
    for (const std::uint32_t value : values) text.text("\t").number(value);
    text.text("\n");
  };
  text.text("Name:\t").escaped(p.command, "\n\\").text("\nUmask:\t").octal(p.umask, 4);
  text.text("\nState:\t").text(state_name(p.state));
  text.text("\nTgid:\t").number(p.pid).text("\nNgid:\t0\nPid:\t").number(view.id);
  text.text("\nPPid:\t").number(p.parent).text("\nTracerPid:\t").number(p.tracer).text("\n");
  ids("Uid:", {c.uid, c.euid, c.suid, c.fsuid});
  ids("Gid:", {c.gid, c.egid, c.sgid, c.fsgid});
  // Linux shows the size of the table, which grows by powers of two from 64.
  std::size_t open_end = 0;
  if (p.files) {
    if (const auto fds = p.files->open_fds(); !fds.empty())
      open_end = static_cast<std::size_t>(fds.back()) + 1;
  }
  text.text("FDSize:\t")
      .number(p.files ? std::bit_ceil(std::max<std::size_t>(open_end, 64)) : 0)
      .text("\nGroups:\t");
  for (std::size_t i = 0; i < c.groups.size(); ++i)
    text.text(i == 0 ? "" : " ").number(c.groups[i]);
  text.text(" \nNStgid:\t").number(p.pid).text("\nNSpid:\t").number(view.id);
  text.text("\nNSpgid:\t").number(p.group).text("\nNSsid:\t").number(p.session).text("\n");
}

void format_signal_block(const ProcessView& view, std::string& out) {
  const ProcessSnapshot& p = view.process;
  TextBuilder text(out);
  const auto mask = [&text](std::string_view name, std::uint64_t value) {
    text.text(name).text("\t").hex(value, 16).text("\n");
  };
  text.text("Threads:\t").number(p.tasks.size());
  text.text("\nSigQ:\t0/").number(p.limits[RLIMIT_SIGPENDING][0]).text("\n");
  mask("SigPnd:", p.pending);
  mask("ShdPnd:", p.shared_pending);
  mask("SigBlk:", p.blocked);
  mask("SigIgn:", p.ignored);
  mask("SigCgt:", p.caught);
  const Capabilities& capabilities = p.credentials.capabilities;
  mask("CapInh:", capabilities.inheritable);
  mask("CapPrm:", capabilities.permitted);
  mask("CapEff:", capabilities.effective);
  mask("CapBnd:", Capabilities::kAll);
  mask("CapAmb:", 0);
}

/// The name that a program gave, in brackets; empty: it gave none.
std::string given_name(const Vma& vma, const char* bracket) {
  if (vma.label == nullptr) return {};
  const std::optional<std::string_view> name = vma.label->name();
  if (!name) return {};
  return std::string(bracket).append(*name).append("]");
}

// Linux v6.12 fs/proc/task_mmu.c:get_vma_name()
std::string name_of(const Vma& vma, const Layout& layout, const MappedFile* file) {
  if (file != nullptr) {
    const std::string given = given_name(vma, "[anon_shmem:");
    return given.empty() ? file->name : given;
  }
  if (vma.range.begin() < layout.brk_end && layout.brk_begin < vma.range.end())
    return "[heap]";  // Linux v6.12 include/linux/mm.h:vma_is_initial_heap()
  if (vma.range.contains(layout.stack_begin)) return "[stack]";
  return given_name(vma, "[anon:");
}

}  // namespace

void format_process_stat(const ProcessView& view, std::string& out) {
  const ProcessSnapshot& p = view.process;
  const Usage& u = view.memory.usage;
  const Layout& l = view.memory.layout;
  TextBuilder(out).number(view.id).text(" (").text(p.command).text(") ").text({&p.state, 1});
  const int priority = kPriorityBase + p.nice;
  Fields fields(out);
  fields.add(p.parent).add(p.group).add(p.session).add(p.tty_device).add(p.tty_group).add(0);
  fields.add(p.minor_faults)
      .add(p.children_minor_faults)
      .add(p.major_faults)
      .add(p.children_major_faults);
  fields.add(p.user_ns / kNsPerTick).add(p.kernel_ns / kNsPerTick);
  fields.add(p.children_user_ns / kNsPerTick).add(p.children_kernel_ns / kNsPerTick);
  fields.add(priority).add(p.nice).add(p.tasks.size()).add(0).add(p.start_ns / kNsPerTick);
  fields.add(u.mapped.bytes().raw()).add(u.rss().raw()).add(p.limits[RLIMIT_RSS][0]);
  fields.add(l.code_begin.raw()).add(l.code_end.raw()).add(l.stack_begin.raw()).zeros(2);
  // Only signals 1 to 31 fit here, in decimal (man7 proc(5): obsolete, "use status").
  for (const SignalSet set : {p.pending | p.shared_pending, p.blocked, p.ignored, p.caught})
    fields.add(set & 0x7fffffff);
  fields.zeros(3).add(SIGCHLD).zeros(6);
  fields.add(l.data_begin.raw()).add(l.data_end.raw()).add(l.brk_begin.raw());
  fields.add(l.args_begin.raw())
      .add(l.args_end.raw())
      .add(l.env_begin.raw())
      .add(l.env_end.raw())
      .add(0);
  out.push_back('\n');
}

void format_process_status(const ProcessView& view, std::string& out) {
  format_identity_block(view, out);
  if (view.memory.present) format_memory_block(view.memory, out);
  format_signal_block(view, out);
  TextBuilder text(out);
  text.text("Seccomp:\t0\nCpus_allowed:\t").hex((std::uint64_t{1} << view.cpus) - 1);
  text.text("\nCpus_allowed_list:\t0");
  if (view.cpus > 1) text.text("-").number(view.cpus - 1);
  text.text("\nvoluntary_ctxt_switches:\t").number(view.process.voluntary_switches);
  text.text("\nnonvoluntary_ctxt_switches:\t").number(view.process.involuntary_switches).text("\n");
}

void format_process_statm(const ProcessView& view, std::string& out) {
  const Usage& u = view.memory.usage;
  TextBuilder(out)
      .number(u.mapped.raw())
      .text(" ")
      .number(u.rss().raw())
      .text(" ")
      .number((u.rss_file + u.rss_shmem).raw());
  TextBuilder(out)
      .text(" ")
      .number(text_pages(view.memory).raw())
      .text(" 0 ")
      .number((u.data + u.stack).raw())
      .text(" 0\n");
}

void format_process_limits(const ProcessView& view, std::string& out) {
  struct Name {
    std::string_view name, unit;
  };
  // In the order of the RLIMIT_ numbers.
  static constexpr std::array<Name, RLIM_NLIMITS> kNames = {{
      {"Max cpu time", "seconds"},
      {"Max file size", "bytes"},
      {"Max data size", "bytes"},
      {"Max stack size", "bytes"},
      {"Max core file size", "bytes"},
      {"Max resident set", "bytes"},
      {"Max processes", "processes"},
      {"Max open files", "files"},
      {"Max locked memory", "bytes"},
      {"Max address space", "bytes"},
      {"Max file locks", "locks"},
      {"Max pending signals", "signals"},
      {"Max msgqueue size", "bytes"},
      {"Max nice priority", ""},
      {"Max realtime priority", ""},
      {"Max realtime timeout", "us"},
  }};
  TextBuilder text(out);
  const auto column = [&text](std::uint64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    text.left(value == RLIM_INFINITY ? "unlimited" : std::string_view(digits, end), 20).text(" ");
  };
  text.left("Limit", 25)
      .text(" ")
      .left("Soft Limit", 20)
      .text(" ")
      .left("Hard Limit", 20)
      .text(" ")
      .left("Units", 10)
      .text("\n");
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    text.left(kNames[i].name, 25).text(" ");
    column(view.process.limits[i][0]);
    column(view.process.limits[i][1]);
    if (!kNames[i].unit.empty()) text.left(kNames[i].unit, 10);
    text.text("\n");
  }
}

void format_process_oom_score(const ProcessView& view, std::string& out) {
  // Linux v6.12 fs/proc/base.c:proc_oom_score(), mm/oom_kill.c:oom_badness(), without swap and
  // adjustment.
  const std::uint64_t pages = view.memory.usage.rss().raw() + view.memory.usage.tables.raw();
  const std::uint64_t badness = view.frames == 0 ? 0 : pages * 1000 / view.frames;
  TextBuilder(out).number(view.memory.present ? (1000 + badness) * 2 / 3 : 0).text("\n");
}

void format_mapping(const Vma& vma, const Layout& layout, const MappedFile* file, std::string& out) {
  constexpr std::size_t kNameColumn =
      73;  // Linux v6.12 fs/proc/task_mmu.c:show_vma_header_prefix(), show_map_vma()
  if (file == nullptr && vma.object != nullptr) file = &unnamed_memory(vma);
  const std::string name = name_of(vma, layout, file);
  const std::size_t line_begin = out.size();
  TextBuilder text(out);
  text.hex(vma.range.begin().raw(), 8).text("-").hex(vma.range.end().raw(), 8).text(" ");
  text.text(vma.prot.read() ? "r" : "-")
      .text(vma.prot.write() ? "w" : "-")
      .text(vma.prot.exec() ? "x" : "-");
  text.text(vma.is_shared() ? "s " : "p ").hex(file != nullptr ? vma.offset.raw() << kPageShift : 0, 8).text(" ");
  const std::uint64_t device = file == nullptr ? 0 : file->device;
  text.hex(device_major(device), 2).text(":").hex(device_minor(device), 2).text(" ").number(file == nullptr ? 0 : file->inode).text(" ");
  if (!name.empty())
    text.left("", kNameColumn - std::min(kNameColumn, out.size() - line_begin)).escaped(name, "\n");
  text.text("\n");
}

}  // namespace quire::kernel
