// membarrier. Behaviour: man7 membarrier(2); Linux v6.12 kernel/sched/membarrier.c.
//
// Every CPU is made to take an interrupt, which orders its memory accesses; CPUs that are in the kernel have been ordered by entering it.
// SYNC_CORE commands are not offered, and QUERY says so.
#include "mm/shootdown.h"
#include "task/calls.h"
#include "task/process.h"

namespace quire::kernel {

namespace {

// Linux v6.12 include/uapi/linux/membarrier.h.
constexpr std::uint32_t kQuery = 0, kGlobal = 1U << 0, kGlobalExpedited = 1U << 1, kRegisterGlobalExpedited = 1U << 2,
                        kPrivateExpedited = 1U << 3, kRegisterPrivateExpedited = 1U << 4, kPrivateExpeditedRseq = 1U << 7,
                        kRegisterPrivateExpeditedRseq = 1U << 8, kGetRegistrations = 1U << 9;
constexpr std::uint32_t kFlagCpu = 1;
constexpr std::uint32_t kOffered = kGlobal | kGlobalExpedited | kRegisterGlobalExpedited | kPrivateExpedited |
                                   kRegisterPrivateExpedited | kPrivateExpeditedRseq | kRegisterPrivateExpeditedRseq | kGetRegistrations;

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
  const std::uint32_t flags = uint_argument(args, 1);
  if (flags != 0 && (command != kPrivateExpeditedRseq || flags != kFlagCpu)) return fail(Errno::kInval);
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
    case kPrivateExpeditedRseq: {
      if (!is_registered_for(kRegisterPrivateExpeditedRseq)) return fail(Errno::kPerm);
      const std::uint32_t cpu = uint_argument(args, 2);
      if (flags == kFlagCpu && cpu >= cpu_count()) return 0;
      interrupt_sequences(flags == kFlagCpu ? std::uint64_t{1} << cpu : ~std::uint64_t{0});
      order_all_cpus();  // and by then they have been
      return 0;
    }
    case kRegisterGlobalExpedited:
    case kRegisterPrivateExpedited:
    case kRegisterPrivateExpeditedRseq:
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
