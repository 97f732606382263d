// Weak answers for the areas that are not linked in: with them alone the machine boots and checks itself.
#include "drivers/console_port.h"
#include "fs/vfs.h"
#include "syscall/syscall.h"
#include "task/out_of_memory.h"
#include "task/task.h"
#include "arch/panic.h"

#define QUIRE_ABSENT [[gnu::weak]]

namespace quire::kernel {

class Dentry : public RefCounted {};

QUIRE_ABSENT std::span<const SyscallEntry> process_syscalls() { return {}; }
QUIRE_ABSENT std::span<const SyscallEntry> file_syscalls() { return {}; }
QUIRE_ABSENT std::span<const SyscallEntry> ipc_syscalls() { return {}; }
QUIRE_ABSENT void return_to_user_work(TrapFrame&) {}
QUIRE_ABSENT void user_exception(TrapFrame& frame, std::uint64_t address) { panic_trap(frame, address); }
QUIRE_ABSENT Result<void> mount_everything() { return fail(Errno::kNoSys); }
QUIRE_ABSENT bool make_memory_free() { return false; }
QUIRE_ABSENT void run_program() { panic("nothing to run programs is linked in"); }
QUIRE_ABSENT FdTable& current_files() { panic("no tasks are linked in"); }
QUIRE_ABSENT Result<RefPtr<File>> FdTable::get(int) { return fail(Errno::kBadF); }

}  // namespace quire::kernel
