// All file system calls as one array.
#include <vector>

#include "fs/syscalls/common.h"

namespace quire::kernel {

std::span<const SyscallEntry> file_syscalls() {
  static std::vector<SyscallEntry>& all =
      *new std::vector<SyscallEntry>;  // never destroyed: no exit-time destructors in the kernel
  if (all.empty()) {
    for (const auto part : {attribute_syscalls, copy_syscalls, descriptor_syscalls,
                            directory_syscalls, lock_syscalls, name_syscalls, open_syscalls,
                            read_write_syscalls, stat_syscalls, sync_syscalls, xattr_syscalls}) {
      const std::span<const SyscallEntry> entries = part();
      all.insert(all.end(), entries.begin(), entries.end());
    }
  }
  return all;
}

}  // namespace quire::kernel
