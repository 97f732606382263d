// What a tracer reads and writes of a stopped task: memory, as a debugger may, and registers. Linux v6.12 kernel/ptrace.c:
// ptrace_access_vm(), ptrace_regset(); arch/x86/kernel/ptrace.c; arch/x86/kernel/fpu/regset.c.
#include <asm/sigcontext.h>
#include <linux/elf.h>
#include <linux/uio.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "arch/fpu.h"
#include "task/trace_registers.h"
#include "task/trace_requests.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kFxsaveSize = 512, kMxcsrOffset = 24;
/// In the FXSAVE image, where a signal frame has its own words: the components the machine has.
constexpr std::size_t kComponentsOffset = 464, kOwnWordsEnd = 512;
constexpr std::uint32_t kMxcsrMask = 0xffff;
constexpr std::uint64_t kLegacyComponents = 3;

TracedRegisters registers_of(Task& task) { return {task.trap_frame(), task.fs_base, task.gs_base, task.tracer_steps}; }

/// The tracee's memory, held. Errors: ESRCH; EIO: it has none, or it is secret.
Result<SpaceUser> memory_of(Pid tid) {
  const TaskGuard guard(task_lock);
  QUIRE_TRY(const Task* const task, stopped_tracee_locked(tid));
  const Process& process = *task->process;
  const bool is_secret = process.dumpable != 1 && !task->tracing.load()->tracee_may_gain;
  if (task->space == nullptr || is_secret) return fail(Errno::kIo);
  task->space->acquire();
  return SpaceUser(task->space);
}

/// Calls move(address, bytes) for a word's part in each of the one or two pages it lies in. Errors: EIO.
template <typename Bytes, typename Move>
Result<void> move_word(std::uint64_t address, Bytes word, Move move) {
  for (std::size_t done = 0; done < kWord;) {
    const std::uint64_t at = address + done;
    const std::size_t part = std::min<std::size_t>(kWord - done, kPageSize - at % kPageSize);
    if (!move(VirtAddr(at), word.subspan(done, part))) return fail(Errno::kIo);
    done += part;
  }
  return {};
}

/// Registers set one after the other until one is refused, as Linux does.
Result<void> set_registers_locked(Task& task, std::span<const std::uint64_t> values) {
  const TracedRegisters registers = registers_of(task);
  for (std::size_t i = 0; i < values.size(); ++i) QUIRE_CHECK(registers.set(i, values[i]));
  return {};
}

std::array<std::uint64_t, TracedRegisters::kCount> registers_locked(Task& task) {
  const TracedRegisters registers = registers_of(task);
  std::array<std::uint64_t, TracedRegisters::kCount> values{};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = registers.get(i);
  return values;
}

SyscallResult copy_registers_out(const TraceRequest& request, UserAddr to, std::size_t size) {
  std::array<std::uint64_t, TracedRegisters::kCount> values{};
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
    values = registers_locked(*task);
  }
  QUIRE_CHECK(copy_to_user(to, values.data(), size));
  return 0;
}

SyscallResult copy_registers_in(const TraceRequest& request, UserAddr from, std::size_t size) {
  std::array<std::uint64_t, TracedRegisters::kCount> values{};
  QUIRE_CHECK(copy_from_user(values.data(), from, size));
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
  QUIRE_CHECK(set_registers_locked(*task, std::span(values).first(size / kWord)));
  return 0;
}

/// The first `size` bytes of the FPU state as XSAVE has it, with the machine's components where a signal frame has its own words.
SyscallResult copy_fpu_out(const TraceRequest& request, UserAddr to, std::size_t size) {
  const auto image = std::make_unique<std::byte[]>(fpu_state_size());
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(const Task* const task, stopped_tracee_locked(request.tid));
    std::memcpy(image.get(), task->trace_stop->fpu.get(), fpu_state_size());
  }
  std::memset(image.get() + kComponentsOffset, 0, kOwnWordsEnd - kComponentsOffset);
  const std::uint64_t components = fpu_components();
  if (size > kFxsaveSize) std::memcpy(image.get() + kComponentsOffset, &components, sizeof components);
  QUIRE_CHECK(copy_to_user(to, image.get(), size));
  return 0;
}

/// Errors: EINVAL: an image that the CPU would refuse.
Result<void> check_image(std::span<const std::byte> image) {
  std::uint32_t mxcsr = 0;
  std::memcpy(&mxcsr, image.data() + kMxcsrOffset, sizeof mxcsr);
  if ((mxcsr & ~kMxcsrMask) != 0) return fail(Errno::kInval);
  if (image.size() == kFxsaveSize) return {};
  std::uint64_t header[8];
  std::memcpy(header, image.data() + kFxsaveSize, sizeof header);
  const bool has_more = std::any_of(std::begin(header) + 1, std::end(header), [](std::uint64_t word) { return word != 0; });
  return has_more || (header[0] & ~fpu_components()) != 0 ? fail(Errno::kInval) : Result<void>();
}

/// Puts an image into the stop's copy, with the words of a signal frame as they were.
SyscallResult copy_fpu_in(const TraceRequest& request, UserAddr from, std::size_t size) {
  const auto image = std::make_unique<std::byte[]>(size);
  QUIRE_CHECK(copy_from_user(image.get(), from, size));
  QUIRE_CHECK(check_image(std::span(image.get(), size)));
  const TaskGuard guard(task_lock);
  QUIRE_TRY(const Task* const task, stopped_tracee_locked(request.tid));
  TraceStop& stop = *task->trace_stop;
  std::memcpy(stop.fpu.get(), image.get(), kComponentsOffset);
  if (size > kFxsaveSize) {
    std::memcpy(stop.fpu.get() + kFxsaveSize, image.get() + kFxsaveSize, size - kFxsaveSize);
  } else if (fpu_state_size() > kFxsaveSize) {
    std::uint64_t present;
    std::memcpy(&present, stop.fpu.get() + kFxsaveSize, sizeof present);
    present |= kLegacyComponents;
    std::memcpy(stop.fpu.get() + kFxsaveSize, &present, sizeof present);
  }
  stop.fpu_changed = true;
  return 0;
}

/// A set of registers by its ELF note: its size and that of one, and who moves it.
struct RegisterSet {
  std::uint64_t note;
  std::size_t size, unit;
  SyscallResult (*copy_out)(const TraceRequest&, UserAddr, std::size_t);
  SyscallResult (*copy_in)(const TraceRequest&, UserAddr, std::size_t);
  bool is_whole;  ///< only all of it can be set
};

/// Errors: EINVAL, ENODEV.
Result<RegisterSet> register_set(std::uint64_t note) {
  switch (note) {
    case NT_PRSTATUS:
      return RegisterSet{note, TracedRegisters::kCount * kWord, kWord, copy_registers_out, copy_registers_in, false};
    case NT_PRFPREG:
      return RegisterSet{note, kFxsaveSize, kWord, copy_fpu_out, copy_fpu_in, true};
    case NT_X86_XSTATE:
      if (fpu_state_size() == kFxsaveSize) return fail(Errno::kNoDev);
      return RegisterSet{note, fpu_state_size(), kWord, copy_fpu_out, copy_fpu_in, true};
    default:
      return fail(Errno::kInval);
  }
}

/// The caller's buffer, cut to the set's size. Errors: EFAULT, EINVAL.
Result<iovec> buffer_for(const RegisterSet& set, UserAddr from) {
  QUIRE_TRY(auto buffer, get_user<iovec>(from));
  if (buffer.iov_len % set.unit != 0) return fail(Errno::kInval);
  buffer.iov_len = std::min<std::size_t>(buffer.iov_len, set.size);
  return buffer;
}

UserAddr base_of(const iovec& buffer) { return reinterpret_cast<UserAddr>(buffer.iov_base); }

}  // namespace

SyscallResult peek_memory(const TraceRequest& request) {
  std::array<std::byte, kWord> word{};
  {
    QUIRE_TRY(const SpaceUser space, memory_of(request.tid));
    QUIRE_CHECK(move_word(request.address, std::span(word),
                          [&](VirtAddr at, std::span<std::byte> part) { return space->peek(at, part).has_value(); }));
  }
  QUIRE_CHECK(put_user(request.data, word));
  return 0;
}

SyscallResult poke_memory(const TraceRequest& request) {
  std::array<std::byte, kWord> word{};
  std::memcpy(word.data(), &request.data, kWord);
  QUIRE_TRY(const SpaceUser space, memory_of(request.tid));
  QUIRE_CHECK(move_word(request.address, std::span<const std::byte>(word),
                        [&](VirtAddr at, std::span<const std::byte> part) { return space->poke(at, part).has_value(); }));
  return 0;
}

SyscallResult peek_user_area(const TraceRequest& request) {
  std::uint64_t value = 0;
  {
    const TaskGuard guard(task_lock);
    QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
    QUIRE_TRY(value, registers_of(*task).peek_user(request.address));
  }
  QUIRE_CHECK(put_user(request.data, value));
  return 0;
}

SyscallResult poke_user_area(const TraceRequest& request) {
  const TaskGuard guard(task_lock);
  QUIRE_TRY(Task* const task, stopped_tracee_locked(request.tid));
  QUIRE_CHECK(registers_of(*task).poke_user(request.address, request.data));
  return 0;
}

SyscallResult get_registers(const TraceRequest& request) {
  return copy_registers_out(request, request.data, TracedRegisters::kCount * kWord);
}
SyscallResult set_registers(const TraceRequest& request) {
  return copy_registers_in(request, request.data, TracedRegisters::kCount * kWord);
}
SyscallResult get_fpu_registers(const TraceRequest& request) { return copy_fpu_out(request, request.data, kFxsaveSize); }
SyscallResult set_fpu_registers(const TraceRequest& request) { return copy_fpu_in(request, request.data, kFxsaveSize); }

SyscallResult get_register_set(const TraceRequest& request) {
  QUIRE_TRY(const RegisterSet set, register_set(request.address));
  QUIRE_TRY(const iovec buffer, buffer_for(set, request.data));
  QUIRE_CHECK(set.copy_out(request, base_of(buffer), buffer.iov_len));
  QUIRE_CHECK(put_user(request.data + offsetof(iovec, iov_len), buffer.iov_len));
  return 0;
}

SyscallResult set_register_set(const TraceRequest& request) {
  QUIRE_TRY(const RegisterSet set, register_set(request.address));
  QUIRE_TRY(const iovec buffer, buffer_for(set, request.data));
  if (set.is_whole && buffer.iov_len != set.size) return fail(set.note == NT_PRFPREG ? Errno::kInval : Errno::kFault);
  QUIRE_CHECK(set.copy_in(request, base_of(buffer), buffer.iov_len));
  QUIRE_CHECK(put_user(request.data + offsetof(iovec, iov_len), buffer.iov_len));
  return 0;
}

}  // namespace quire::kernel
