// Which address space each CPU has loaded, what its TLB may still hold, and the dropping of it across CPUs.
//
// A CPU sets its bit in TlbContext::running before it reads the generation and loads the root, and clears it after
// it has loaded another one; a flusher raises the generation before it reads the bits. So either the flusher sees
// the CPU and tells it, or the CPU sees the new generation. Idle CPUs and kernel threads run on the kernel's own root: a
// context without bits is loaded nowhere, and the platform's retire() has nothing to do.
// With PCIDs each CPU keeps the translations of the last few contexts, each with the generation it was good for
// (as Linux v6.12 arch/x86/mm/tlb.c:choose_new_asid() does).
#pragma once

#include <cstdint>

#include "quire/tlb/tlb_context.h"

namespace quire::kernel {

/// Loads a context's root on this CPU, or with null the kernel's. Interrupts off.
void load_context(TlbContext* context);

/// Does what other CPUs ask of this one. From the interrupt, and from spin loops, so that a CPU that spins
/// with interrupts off keeps nobody waiting.
void answer_shootdowns();
[[nodiscard]] bool shootdowns_wait();

/// Drops translations of `size` bytes of kernel memory from `address` on every CPU.
void flush_kernel_range(std::uint64_t address, std::uint64_t size);

}  // namespace quire::kernel
