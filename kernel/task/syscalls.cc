#include <asm/unistd.h>

#include "task/calls.h"

namespace quire::kernel {

std::span<const SyscallEntry> process_syscalls() {
#define QUIRE_CALL_ENTRY(name) {__NR_##name, #name, sys_##name},
  static constexpr SyscallEntry kEntries[] = {QUIRE_PROCESS_CALLS(QUIRE_CALL_ENTRY)};
#undef QUIRE_CALL_ENTRY
  return kEntries;
}

}  // namespace quire::kernel
