// The one memory manager of the machine, over all of its RAM.
#pragma once

#include <span>

#include "arch/paging.h"
#include "quire/memory_manager.h"

namespace quire::kernel {

MemoryManager& memory();

/// Takes over RAM: sets aside the descriptors, loads the kernel's tables, gives the rest to core. `ram`: all of it;
/// `taken`: parts that are in use (image, launch block, boot structures), in no order. Once, at boot.
void init_memory(std::span<const PhysicalRange> ram, std::span<const PhysicalRange> taken);

}  // namespace quire::kernel
