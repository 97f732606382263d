// memfd_create(2): files in memory that have no name in any directory, and whose changes can be forbidden for good (seals, fcntl(2)).
#pragma once

#include <string>

#include "fs/vfs.h"

namespace quire::kernel {

/// Linux v6.12 include/uapi/linux/memfd.h and fcntl.h; linux-libc-dev 6.1 does not have them.
inline constexpr std::uint32_t kMemfdNoExecSeal = 0x8, kMemfdExec = 0x10, kSealExec = 0x20;

/// A new empty file of the caller's, open for reading and writing. `flags`: MFD_ALLOW_SEALING, kMemfdNoExecSeal. Errors: ENOMEM.
Result<RefPtr<File>> make_memfd(std::string_view name, std::uint32_t flags);

}  // namespace quire::kernel
