#include "sched/thread.h"

#include <asm/sigcontext.h>

#include <cstring>

#include "arch/cpu.h"
#include "arch/registers.h"
#include "arch/trap_frame.h"
#include "mm/blocks.h"
#include "sched/scheduler.h"

extern "C" {
void kernel_thread_entry();
void user_thread_entry();
}

namespace quire::kernel {
namespace {

/// What switch_stacks() pops.
struct SavedRegisters {
  std::uint64_t r15, r14, r13, r12, rbp, rbx;
  void (*return_address)();
};

std::byte* stack_top(const Thread::Internals& internals) { return internals.stack + kKernelStackSize; }

/// Allocates what a thread needs to run. Errors: ENOMEM.
Result<void> make_internals(Thread& thread) {
  std::byte* const stack = allocate_block(kKernelStackSize, FrameUse::kUser);  // a program may fork without end
  if (stack == nullptr) return fail(Errno::kNoMem);
  thread.internals = new Thread::Internals(thread);
  thread.internals->stack = stack;
  return {};
}

void set_first_registers(Thread::Internals& internals, std::byte* stack_pointer, const SavedRegisters& registers) {
  std::byte* const at = stack_pointer - sizeof registers;
  std::memcpy(at, &registers, sizeof registers);
  internals.stack_pointer = reinterpret_cast<std::uint64_t>(at);
}

constexpr std::size_t kSoftwareBytesOffset = offsetof(_fpstate_64, sw_reserved);
constexpr std::size_t kLegacySize = 512, kHeaderSize = 64, kMxcsrOffset = offsetof(_fpstate_64, mxcsr);
constexpr std::uint32_t kMxcsrMask = 0xffff;
constexpr std::uint64_t kLegacyComponents = 3;  // x87, SSE

/// Copies an image a program may have made up into a save area, with nothing in it that XRSTOR refuses.
void take_image(FpuState& state, const std::byte* from, std::size_t size) {
  std::byte* const to = state.image();
  std::memcpy(to, from, size);
  std::uint32_t mxcsr;
  std::memcpy(&mxcsr, to + kMxcsrOffset, sizeof mxcsr);
  mxcsr &= kMxcsrMask;
  std::memcpy(to + kMxcsrOffset, &mxcsr, sizeof mxcsr);
  if (fpu_state_size() > kLegacySize) {
    std::uint64_t present;
    std::memcpy(&present, to + kLegacySize, sizeof present);
    present &= fpu_components();
    if (size == kLegacySize) present |= kLegacyComponents;
    std::memset(to + kLegacySize, 0, kHeaderSize);
    std::memcpy(to + kLegacySize, &present, sizeof present);
  }
  state.image_changed();
  const InterruptsOff off;
  state.load();
}

}  // namespace

extern "C" void run_kernel_thread(void (*entry)(void*), void* argument) {
  finish_thread_switch();
  enable_interrupts();
  entry(argument);
  exit_thread();
}

Thread::~Thread() {
  if (internals == nullptr) return;
  if (internals->stack != nullptr) free_block(internals->stack);
  delete internals;
}

Result<void> Thread::prepare(void (*entry)(void*), void* argument) {
  QUIRE_CHECK(make_internals(*this));
  SavedRegisters registers{};
  registers.r12 = reinterpret_cast<std::uint64_t>(entry);
  registers.r13 = reinterpret_cast<std::uint64_t>(argument);
  registers.return_address = &kernel_thread_entry;
  set_first_registers(*internals, stack_top(*internals), registers);
  return {};
}

Result<void> Thread::prepare_user_return(const TrapFrame& frame) {
  QUIRE_CHECK(make_internals(*this));
  trap_frame() = frame;
  SavedRegisters registers{};
  registers.return_address = &user_thread_entry;
  set_first_registers(*internals, reinterpret_cast<std::byte*>(&trap_frame()), registers);
  return {};
}

TrapFrame& Thread::trap_frame() {
  return *reinterpret_cast<TrapFrame*>(stack_top(*internals) - sizeof(TrapFrame));
}

void Thread::load_bases() {
  write_msr(Msr::kFsBase, fs_base);
  write_msr(Msr::kKernelGsBase, gs_base);  // SWAPGS brings it to GS on the way out
}

void Thread::copy_fpu_from_current() {
  FpuState& mine = current_thread().internals->fpu;
  {
    const InterruptsOff off;
    mine.save();
  }
  internals->fpu.copy_from(mine);
}

void Thread::reset_fpu() {
  internals->fpu.reset();
  const InterruptsOff off;
  if (&current_thread() == this) internals->fpu.load();
}

void Thread::save_fpu(void* fxsave_image) {
  const InterruptsOff off;
  internals->fpu.save();
  std::memcpy(fxsave_image, internals->fpu.image(), kLegacySize);
}

void Thread::restore_fpu(const void* fxsave_image) {
  take_image(internals->fpu, static_cast<const std::byte*>(fxsave_image), kLegacySize);
}

std::size_t Thread::fpu_frame_size() {
  const std::size_t size = fpu_state_size();
  return size > kLegacySize ? size + FP_XSTATE_MAGIC2_SIZE : size;
}

void Thread::save_fpu_frame(std::byte* to) {
  const std::size_t size = fpu_state_size();
  {
    const InterruptsOff off;
    internals->fpu.save();
  }
  std::memcpy(to, internals->fpu.image(), size);
  std::memset(to + kSoftwareBytesOffset, 0, sizeof(_fpx_sw_bytes));
  if (size == kLegacySize) return;
  const _fpx_sw_bytes software{.magic1 = FP_XSTATE_MAGIC1,
                               .extended_size = static_cast<std::uint32_t>(fpu_frame_size()),
                               .xfeatures = fpu_components(),
                               .xstate_size = static_cast<std::uint32_t>(size),
                               .padding = {}};
  std::memcpy(to + kSoftwareBytesOffset, &software, sizeof software);
  constexpr std::uint32_t kMagic2 = FP_XSTATE_MAGIC2;
  std::memcpy(to + size, &kMagic2, sizeof kMagic2);
}

void Thread::restore_fpu_frame(const std::byte* from) {
  const std::size_t size = fpu_state_size();
  _fpx_sw_bytes software;
  std::memcpy(&software, from + kSoftwareBytesOffset, sizeof software);
  std::uint32_t magic2 = 0;
  if (size > kLegacySize) std::memcpy(&magic2, from + size, sizeof magic2);
  // Linux v6.12 arch/x86/kernel/fpu/signal.c:check_xstate_in_sigframe(): anything else is a plain FXSAVE image.
  const bool whole = size > kLegacySize && software.magic1 == FP_XSTATE_MAGIC1 && software.xstate_size == size &&
                     magic2 == FP_XSTATE_MAGIC2;
  take_image(internals->fpu, from, whole ? size : kLegacySize);
}

}  // namespace quire::kernel
