// What this CPU can do, and the switching on of it.
#pragma once

#include <cstdint>

namespace quire::kernel {

/// Features the kernel makes use of. Read once, on the first CPU; QEMU's CPUs are all alike.
struct CpuFeatures {
  bool smep, smap, umip, pcid, huge_pages_1g, xsave, avx, avx512, x2apic, tsc_deadline, rdrand, hypervisor;
};
const CpuFeatures& cpu_features();

/// Reads CPUID and removes STAC and CLAC from the text where the CPU has none. Pre: text is still writable.
void detect_features();

/// Switches on, on this CPU, what detect_features() found: control registers and system call entry.
void enable_features();

}  // namespace quire::kernel
