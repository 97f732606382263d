#include "arch/features.h"

#include <span>

#include "arch/offsets.h"
#include "arch/registers.h"

extern "C" {
extern unsigned char* smap_sites_begin[];
extern unsigned char* smap_sites_end[];
void syscall_entry();
}

namespace quire::kernel {
namespace {

constinit CpuFeatures features{};

/// STAC and CLAC are undefined opcodes on a CPU without SMAP; both are three bytes long.
void remove_smap_instructions() {
  for (unsigned char* site : std::span(smap_sites_begin, smap_sites_end)) {
    site[0] = 0x0f;
    site[1] = 0x1f;
    site[2] = 0x00;
  }
}

void enable_system_calls() {
  // SYSRET adds 8 and 16 to its base for SS and CS.
  constexpr std::uint64_t kSysretBase = QUIRE_USER_CODE_32;
  static_assert(kSysretBase + 8 == QUIRE_USER_DATA && kSysretBase + 16 == QUIRE_USER_CODE);
  write_msr(Msr::kStar, (kSysretBase << 48) | (std::uint64_t{QUIRE_KERNEL_CODE} << 32));
  write_msr(Msr::kLstar, reinterpret_cast<std::uint64_t>(&syscall_entry));
  write_msr(Msr::kCstar, 0);
  write_msr(Msr::kSyscallMask, kFlagTrap | kFlagInterrupt | kFlagDirection | kFlagIoPrivilege |
                                   kFlagNested | kFlagResume | kFlagAlignment);
}

}  // namespace

const CpuFeatures& cpu_features() { return features; }

void detect_features() {
  const CpuidResult basic = cpuid(1);
  features.pcid = (basic.ecx & (1U << 17)) != 0;
  features.x2apic = (basic.ecx & (1U << 21)) != 0;
  features.tsc_deadline = (basic.ecx & (1U << 24)) != 0;
  features.xsave = (basic.ecx & (1U << 26)) != 0;
  features.avx = features.xsave && (basic.ecx & (1U << 28)) != 0;
  features.rdrand = (basic.ecx & (1U << 30)) != 0;
  features.hypervisor = (basic.ecx & (1U << 31)) != 0;
  if (cpuid(0).eax >= 7) {
    const CpuidResult extended = cpuid(7);
    features.smep = (extended.ebx & (1U << 7)) != 0;
    features.avx512 = features.avx && (extended.ebx & (1U << 16)) != 0;
    features.smap = (extended.ebx & (1U << 20)) != 0;
    features.umip = (extended.ecx & (1U << 2)) != 0;
  }
  features.huge_pages_1g = (cpuid(0x80000001).edx & (1U << 26)) != 0;
  if (!features.smap) remove_smap_instructions();
}

void enable_features() {
  write_cr0((read_cr0() & ~(kCr0Emulate | kCr0TaskSwitched)) | kCr0Monitor | kCr0NumericError |
            kCr0WriteProtect);
  std::uint64_t cr4 = read_cr4() | kCr4OsFxsr | kCr4OsXmmExcept | kCr4Pge;
  if (features.smep) cr4 |= kCr4Smep;
  if (features.smap) cr4 |= kCr4Smap;
  if (features.umip) cr4 |= kCr4Umip;
  if (features.xsave) cr4 |= kCr4OsXsave;
  if (features.pcid) cr4 |= kCr4Pcid;
  write_cr4(cr4);
  enable_system_calls();
}

}  // namespace quire::kernel
