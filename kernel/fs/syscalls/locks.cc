// flock(2). Record locks come through fcntl(2).
#include <asm/unistd.h>

#include "fs/file_locks.h"
#include "fs/syscalls/common.h"

namespace quire::kernel {
namespace {

SyscallResult sys_flock(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<File> file, file_arg(args.a[0]));
  return zero_or(flock_file(*file, uint_arg(args.a[1])));
}

constexpr SyscallEntry kEntries[] = {{__NR_flock, "flock", sys_flock}};

}  // namespace

std::span<const SyscallEntry> lock_syscalls() { return kEntries; }

}  // namespace quire::kernel
