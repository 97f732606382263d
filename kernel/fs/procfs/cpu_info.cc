#include "fs/procfs/cpu_info.h"

#include <cpuid.h>

#include <array>
#include <cstring>

#include "fs/procfs/text.h"
#include "sched/thread.h"

namespace quire::kernel {

namespace {

struct Registers {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
};
/// Zeros for a leaf the CPU does not have.
Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  Registers r;
  (void)__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
}

/// Names of the bits of one register, lowest first; empty: none, or not Linux's to show.
struct FlagWord {
  std::uint32_t leaf, subleaf;
  std::uint32_t Registers::*word;
  std::array<std::string_view, 32> names;
};

// Linux v6.1 arch/x86/include/asm/cpufeatures.h, in the order Linux prints the words.
constexpr std::array<FlagWord, 6> kFlags = {{
    {1, 0, &Registers::d, {"fpu",  "vme",   "de",   "pse",     "tsc",  "msr", "pae",  "mce",
                           "cx8",  "apic",  "",     "sep",     "mtrr", "pge", "mca",  "cmov",
                           "pat",  "pse36", "pn",   "clflush", "",     "dts", "acpi", "mmx",
                           "fxsr", "sse",   "sse2", "ss",      "ht",   "tm",  "ia64", "pbe"}},
    {0x80000001,
     0,
     &Registers::d,
     {"",        "", "", "",         "",        "",       "", "",   "",         "",     "",
      "syscall", "", "", "",         "",        "",       "", "",   "mp",       "nx",   "",
      "mmxext",  "", "", "fxsr_opt", "pdpe1gb", "rdtscp", "", "lm", "3dnowext", "3dnow"}},
    {1, 0, &Registers::c, {"pni",    "pclmulqdq", "dtes64", "monitor", "ds_cpl",
                           "vmx",    "smx",       "est",    "tm2",     "ssse3",
                           "cid",    "sdbg",      "fma",    "cx16",    "xtpr",
                           "pdcm",   "",          "pcid",   "dca",     "sse4_1",
                           "sse4_2", "x2apic",    "movbe",  "popcnt",  "tsc_deadline_timer",
                           "aes",    "xsave",     "",       "avx",     "f16c",
                           "rdrand", "hypervisor"}},
    {0x80000001,
     0,
     &Registers::c,
     {"lahf_lm",
      "cmp_legacy",
      "svm",
      "extapic",
      "cr8_legacy",
      "abm",
      "sse4a",
      "misalignsse",
      "3dnowprefetch",
      "osvw",
      "ibs",
      "xop",
      "skinit",
      "wdt",
      "",
      "lwp",
      "fma4",
      "tce",
      "",
      "nodeid_msr",
      "",
      "tbm",
      "topoext",
      "perfctr_core",
      "perfctr_nb",
      "",
      "bpext",
      "ptsc",
      "perfctr_llc",
      "mwaitx",
      "",
      ""}},
    {7, 0, &Registers::b, {"fsgsbase", "tsc_adjust", "sgx",      "bmi1",       "hle",
                           "avx2",     "",           "smep",     "bmi2",       "erms",
                           "invpcid",  "rtm",        "cqm",      "",           "mpx",
                           "rdt_a",    "avx512f",    "avx512dq", "rdseed",     "adx",
                           "smap",     "avx512ifma", "",         "clflushopt", "clwb",
                           "intel_pt", "avx512pf",   "avx512er", "avx512cd",   "sha_ni",
                           "avx512bw", "avx512vl"}},
    {7,
     0,
     &Registers::c,
     {"",
      "avx512vbmi",
      "umip",
      "pku",
      "ospke",
      "waitpkg",
      "avx512_vbmi2",
      "",
      "gfni",
      "vaes",
      "vpclmulqdq",
      "avx512_vnni",
      "avx512_bitalg",
      "tme",
      "avx512_vpopcntdq",
      "",
      "la57",
      "",
      "",
      "",
      "",
      "",
      "rdpid",
      "",
      "bus_lock_detect",
      "cldemote",
      "",
      "movdiri",
      "movdir64b",
      "enqcmd",
      "sgx_lc",
      ""}},
}};

void append_words(std::string& out, std::initializer_list<std::uint32_t> words) {
  for (const std::uint32_t word : words) {
    char bytes[sizeof word];
    std::memcpy(bytes, &word, sizeof word);
    for (const char c : bytes) {
      if (c != '\0') out.push_back(c);
    }
  }
}

void append_model_name(std::string& out) {
  std::string name;
  for (std::uint32_t leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    const Registers r = cpuid(leaf);
    append_words(name, {r.a, r.b, r.c, r.d});
  }
  const std::size_t begin = name.find_first_not_of(' ');
  if (begin != std::string::npos) out.append(name, begin);
}

void append_flags(std::string& out) {
  for (const FlagWord& flags : kFlags) {
    const std::uint32_t bits = cpuid(flags.leaf, flags.subleaf).*flags.word;
    for (std::size_t i = 0; i < flags.names.size(); ++i) {
      if ((bits >> i & 1) != 0 && !flags.names[i].empty())
        TextBuilder(out).text(" ").text(flags.names[i]);
    }
  }
}

/// What is the same for all CPUs, in two parts around the lines that are not.
struct CpuText {
  std::string identity, abilities;
};
CpuText describe() {
  CpuText result;
  const Registers vendor = cpuid(0), version = cpuid(1), sizes = cpuid(0x80000008);
  const std::uint32_t base_family = version.a >> 8 & 15, base_model = version.a >> 4 & 15;
  const std::uint32_t family =
      base_family == 15 ? base_family + (version.a >> 20 & 255) : base_family;
  const std::uint32_t model = base_family >= 6 ? base_model | (version.a >> 12 & 0xf0) : base_model;
  TextBuilder identity(result.identity);
  identity.text("vendor_id\t: ");
  append_words(result.identity, {vendor.b, vendor.d, vendor.c});
  identity.text("\ncpu family\t: ")
      .number(family)
      .text("\nmodel\t\t: ")
      .number(model)
      .text("\nmodel name\t: ");
  append_model_name(result.identity);
  identity.text("\nstepping\t: ").number(version.a & 15).text("\n");
  TextBuilder abilities(result.abilities);
  abilities.text("fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: ")
      .number(vendor.a)
      .text("\nwp\t\t: yes\nflags\t\t:");
  append_flags(result.abilities);
  abilities.text("\nclflush size\t: ").number((version.b >> 8 & 255) * 8);
  abilities.text("\naddress sizes\t: ")
      .number(sizes.a & 255)
      .text(" bits physical, ")
      .number(sizes.a >> 8 & 255)
      .text(" bits virtual\n\n");
  return result;
}

}  // namespace

void write_cpu_info(std::string& out) {
  const CpuText text = describe();
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    TextBuilder(out).text("processor\t: ").number(cpu).text("\n").text(text.identity);
    TextBuilder(out)
        .text("physical id\t: 0\nsiblings\t: ")
        .number(cpu_count())
        .text("\ncore id\t\t: ")
        .number(cpu);
    TextBuilder(out)
        .text("\ncpu cores\t: ")
        .number(cpu_count())
        .text("\napicid\t\t: ")
        .number(cpu)
        .text("\n")
        .text(text.abilities);
  }
}

}  // namespace quire::kernel
