// Restartable sequences: a program's thread knows its CPU from a word in its own memory, and is sent to an abort address when it loses the
// CPU, or gets a signal, within a piece of code that it has named. Behaviour: man rseq(2) of librseq; Linux v6.12 kernel/rseq.c.
//
// Life cycle of a registration: rseq(2); inherited by fork, but not by a task that shares the memory; ended by rseq(2) or exec. A thread
// that has one is marked by the scheduler whenever it comes back to a CPU, and settles before it returns to user mode.
#include <linux/rseq.h>

#include <cstddef>

#include "arch/layout.h"
#include "arch/trap_frame.h"
#include "task/calls.h"
#include "task/signals.h"

namespace quire::kernel {

namespace {

/// The area as it was at first; longer ones are aligned more loosely (Linux v6.12 kernel/rseq.c:ORIG_RSEQ_SIZE).
constexpr std::uint32_t kFirstSize = 32;
constexpr std::uint64_t kSignatureSize = sizeof(std::uint32_t);
static_assert(sizeof(struct rseq_cs) == 32 && offsetof(struct rseq, rseq_cs) == 8);

/// The area, with what was added in Linux v6.3.
struct Area {
  std::uint32_t cpu_start, cpu;
  UserAddr section;
  std::uint32_t flags, node, reserved[2];
};
static_assert(sizeof(Area) == kFirstSize && offsetof(Area, section) == offsetof(struct rseq, rseq_cs));

/// Tells the program where it runs. Errors: EFAULT.
Result<void> put_place(UserAddr area, std::uint32_t cpu_start, std::uint32_t cpu) {
  const std::uint32_t both[2] = {cpu_start, cpu};
  QUIRE_CHECK(copy_to_user(area, both, sizeof both));
  return put_user(area + offsetof(Area, node), std::uint32_t{0});
}

Result<void> clear_section(UserAddr area) { return put_user(area + offsetof(Area, section), UserAddr{0}); }

bool is_in_section(const struct rseq_cs& section, std::uint64_t at) { return at - section.start_ip < section.post_commit_offset; }

/// The section that the thread has announced. Errors: EINVAL (not one), EFAULT.
Result<struct rseq_cs> announced_section(const Task& task, UserAddr from) {
  if (from >= kUserTop) return fail(Errno::kInval);
  QUIRE_TRY(const auto section, get_user<struct rseq_cs>(from));
  const std::uint64_t end = section.start_ip + section.post_commit_offset;
  const bool is_valid = section.start_ip < kUserTop && end < kUserTop && end >= section.start_ip && section.abort_ip < kUserTop &&
                        section.version == 0 && !is_in_section(section, section.abort_ip);
  if (!is_valid) return fail(Errno::kInval);
  QUIRE_TRY(const auto signature, get_user<std::uint32_t>(section.abort_ip - kSignatureSize));
  if (signature != task.sequence_signature) return fail(Errno::kInval);
  return section;
}

/// Errors: EINVAL, EFAULT.
Result<void> end_section(const Task& task, const Area& area, TrapFrame& frame) {
  QUIRE_TRY(const struct rseq_cs section, announced_section(task, area.section));
  if (is_in_section(section, frame.rip)) {
    if (area.flags != 0 || section.flags != 0) return fail(Errno::kInval);
    frame.rip = section.abort_ip;
  }
  return clear_section(task.sequence_area);
}

/// Errors: EINVAL, EPERM.
Result<void> check_registered(const Task& task, UserAddr area, std::uint32_t size, std::uint32_t signature) {
  if (task.sequence_area != area || task.sequence_size != size) return fail(Errno::kInval);
  if (task.sequence_signature != signature) return fail(Errno::kPerm);
  return {};
}

bool is_area(UserAddr area, std::uint32_t size) { return size >= kFirstSize && area % alignof(struct rseq) == 0; }

}  // namespace

void forget_sequences(Task& task) {
  task.sequence = Sequence::kNone;
  task.sequence_area = 0;
  task.sequence_size = task.sequence_signature = 0;
}

void inherit_sequences(const Task& parent, Task& child) {
  child.sequence = parent.sequence;
  child.sequence_area = parent.sequence_area;
  child.sequence_size = parent.sequence_size;
  child.sequence_signature = parent.sequence_signature;
}

Result<void> settle_sequence(TrapFrame& frame) {
  Task& task = current();
  task.sequence = Sequence::kWhole;  // from here on: who sleeps below is marked anew
  QUIRE_TRY(const Area area, get_user<Area>(task.sequence_area));
  if (area.section != 0) QUIRE_CHECK(end_section(task, area, frame));
  // What is right already is not written: a forked child's page stays its parent's.
  const unsigned cpu = this_cpu();
  return area.cpu_start == cpu && area.cpu == cpu ? Result<void>() : put_place(task.sequence_area, cpu, cpu);
}

void return_to_interrupted_sequence(TrapFrame& frame) {
  if (!settle_sequence(frame)) force_signal(SignalInfo::from_kernel(SIGSEGV));
}

SyscallResult sys_rseq(const SyscallArgs& args) {
  Task& task = current();
  const UserAddr area = address_argument(args, 0);
  const std::uint32_t size = uint_argument(args, 1), flags = uint_argument(args, 2), signature = uint_argument(args, 3);
  if ((flags & RSEQ_FLAG_UNREGISTER) != 0) {
    if (flags != RSEQ_FLAG_UNREGISTER || area == 0) return fail(Errno::kInval);
    QUIRE_CHECK(check_registered(task, area, size, signature));
    QUIRE_CHECK(put_place(area, 0, static_cast<std::uint32_t>(RSEQ_CPU_ID_UNINITIALIZED)));
    forget_sequences(task);
    return 0;
  }
  if (flags != 0) return fail(Errno::kInval);
  if (task.sequence_area != 0) {
    QUIRE_CHECK(check_registered(task, area, size, signature));
    return fail(Errno::kBusy);
  }
  if (!is_area(area, size)) return fail(Errno::kInval);
  if (area >= kUserTop || size > kUserTop - area) return fail(Errno::kFault);
  QUIRE_CHECK(clear_section(area));
  QUIRE_CHECK(put_place(area, this_cpu(), this_cpu()));
  task.sequence_area = area;
  task.sequence_size = size;
  task.sequence_signature = signature;
  // Another CPU may have had the thread since.
  task.sequence = Sequence::kInterrupted;
  this_cpu_data().exit_work = true;
  return 0;
}

}  // namespace quire::kernel
