// ELF programs in memory: static, static-PIE, and dynamic ones with their interpreter.
//
// A segment is a private mapping of the file, as on Linux; only where the file cannot be mapped it is
// read into anonymous memory. A file that lies about itself gives ENOEXEC, never more. Linux v6.12
// fs/binfmt_elf.c:load_elf_binary().
#pragma once

#include <cstdint>
#include <string>

#include "fs/vfs.h"
#include "quire/space/address_space.h"

namespace quire::kernel {

/// Where a program has been put.
struct ElfImage {
  std::uint64_t entry = 0;
  std::uint64_t program_headers = 0;  ///< where they are in memory, 0 if they are not
  std::uint16_t program_header_count = 0;
  std::uint64_t base = 0;  ///< added to the file's addresses
  bool executable_stack = false;
  std::string interpreter;  ///< PT_INTERP; empty: none
  bool is_loader = false;   ///< position-independent without interpreter: put where mmap would
  std::uint64_t code_begin = 0, code_end = 0, data_begin = 0, data_end = 0, memory_end = 0;
};

/// Where position-independent programs with an interpreter begin (Linux: ELF_ET_DYN_BASE): at two thirds of user space, so that the break
/// has room. Those without one, such as interpreters, are put where mmap would, out of the way of a program with fixed addresses.
inline constexpr std::uint64_t kProgramBase = 0x555555554000;

/// Loads the segments of `file` into `space`, a position-independent program at `base`. Errors: ENOEXEC, ENOMEM, EIO. After an error
/// `space` is to be thrown away.
Result<ElfImage> load_elf(AddressSpace& space, File& file, std::uint64_t base);

}  // namespace quire::kernel
