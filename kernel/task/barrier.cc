// membarrier. Behaviour: man7 membarrier(2); Linux v6.12 kernel/sched/membarrier.c.
//
// Every CPU is made to take an interrupt, which orders its memory accesses; CPUs that are in the kernel have been ordered by entering it.
// SYNC_CORE and RSEQ commands are not offered, and QUERY says so.
#include "mm/shootdown.h"
#include "task/calls.h"
#include "task/process.h"

namespace quire::kernel {

namespace {

// Linux v6.12 include/uapi/linux/membarrier.h.
constexpr std::uint32_t kQuery = 0, kGlobal = 1U << 0, kGlobalExpedited = 1U << 1, kRegisterGlobalExpedited = 1U << 2,
                        kPrivateExpedited = 1U << 3, kRegisterPrivateExpedited = 1U << 4, kGetRegistrations = 1U << 9;
constexpr std::uint32_t kOffered = kGlobal | kGlobalExpedited | kRegisterGlobalExpedited | kPrivateExpedited |
                                   kRegisterPrivateExpedited | kGetRegistrations;

void order_all_cpus() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  flush_kernel_range(0, 0);  // of nothing: what counts is that every other CPU has answered
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void register_for(std::uint32_t command) {
  const TaskGuard guard(task_lock);
  current_process().barriers |= command;
}

bool is_registered_for(std::uint32_t command) {
  const TaskGuard guard(task_lock);
  return (current_process().barriers & command) != 0;
}

}  // namespace

SyscallResult sys_membarrier(const SyscallArgs& args) {
  const std::uint32_t command = uint_argument(args, 0);
  if (uint_argument(args, 1) != 0) return fail(Errno::kInval);
  switch (command) {
    case kQuery:
      return kOffered;
    case kGlobal:
    case kGlobalExpedited:
      order_all_cpus();
      return 0;
    case kPrivateExpedited:
      if (!is_registered_for(kRegisterPrivateExpedited)) return fail(Errno::kPerm);
      order_all_cpus();
      return 0;
    case kRegisterGlobalExpedited:
    case kRegisterPrivateExpedited:
      register_for(command);
      return 0;
    case kGetRegistrations: {
      const TaskGuard guard(task_lock);
      return current_process().barriers;
    }
    default:
      return fail(Errno::kInval);
  }
}

}  // namespace quire::kernel
