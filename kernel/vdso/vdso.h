// The pages that every program gets from the kernel: [vdso], code that tells the time and the CPU without a trap, and before it [vvar],
// what the code computes the time from (docs/decisions/0014-vdso.md, man7 vdso(7)).
#pragma once

#include "quire/space/address_space.h"

namespace quire::kernel {

/// Makes the pages. Once, at boot. Panics without memory.
void init_vdso();
/// Lets go of them, when no program is left.
void drop_vdso();
/// Maps both where mmap would. Returns the address of the code: AT_SYSINFO_EHDR. Errors: ENOMEM.
Result<VirtAddr> map_vdso(AddressSpace& space);

}  // namespace quire::kernel
