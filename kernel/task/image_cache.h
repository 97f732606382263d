// Programs kept loaded, so that running one again forks it instead of reading it.
//
// The cache holds a few address spaces in which a program's segments lie as load_elf() put them,
// and nothing else. An exec of the same file takes a copy-on-write child: its pages are shared
// until written, by all processes that run it, and loading costs no more than a fork. An entry
// counts for the file as it was: device, inode, size and times must agree. Only programs without an
// interpreter are kept. Life cycle: filled by exec; emptied when memory runs out and before the
// final audit. Locks: a mutex of its own.
#pragma once

#include "fs/vfs.h"
#include "quire/space/address_space.h"
#include "task/elf_image.h"

namespace quire::kernel {

/// A program in memory of its own.
struct LoadedProgram {
  AddressSpace* space = nullptr;  ///< the caller's
  ElfImage image;
};

/// Loads `file` as a program, or forks it from the cache. The space has `config`'s limits and fork
/// mode. Errors: as load_elf().
Result<LoadedProgram> load_cached(File& file, const AddressSpaceConfig& config);

/// Lets go of all programs. Returns whether there were any.
bool empty_image_cache();

}  // namespace quire::kernel
