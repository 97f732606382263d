// Exceptions of user mode as signals (Linux v6.12 arch/x86/kernel/traps.c, arch/x86/mm/fault.c;
// Intel SDM 3A 6.15).
#include <cstring>

#include "arch/trap_frame.h"
#include "task/out_of_memory.h"
#include "task/signals.h"
#include "task/tracing.h"

namespace quire::kernel {

namespace {

enum Vector : std::uint64_t {
  kDivide = 0,
  kDebug = 1,
  kBreakpoint = 3,
  kOverflow = 4,
  kBounds = 5,
  kInvalidOpcode = 6,
  kSegmentNotPresent = 11,
  kStackSegment = 12,
  kPageFault = 14,
  kX87 = 16,
  kAlignment = 17,
  kSimd = 19,
};

struct FaultSignal {
  int signal;
  int code;
  std::uint64_t address;
};

FaultSignal page_fault_signal(FaultOutcome outcome, std::uint64_t address) {
  switch (outcome) {
    case FaultOutcome::kAccessError:
      return {SIGSEGV, SEGV_ACCERR, address};
    case FaultOutcome::kBusError:
      return {SIGBUS, BUS_ADRERR, address};
    case FaultOutcome::kMapError:
    case FaultOutcome::kMinor:
    case FaultOutcome::kMajor:
    case FaultOutcome::kOutOfMemory:
    case FaultOutcome::kInterrupted:
      break;
  }
  return {SIGSEGV, SEGV_MAPERR, address};
}

/// The FPU's reason, from the exception flags that are not masked, in the order of Linux's
/// fpu__exception_code().
int float_code(std::uint32_t raised) {
  if ((raised & 0x01) != 0) return FPE_FLTINV;
  if ((raised & 0x04) != 0) return FPE_FLTDIV;
  if ((raised & 0x08) != 0) return FPE_FLTOVF;
  if ((raised & 0x12) != 0) return FPE_FLTUND;
  if ((raised & 0x20) != 0) return FPE_FLTRES;
  return FPE_FLTUNK;
}

int float_code_of(std::uint64_t vector) {
  // FXSAVE image: control word at 0, status word at 2, MXCSR at 24.
  alignas(16) std::byte image[512];
  current_thread().save_fpu(image);
  std::uint16_t x87[2];
  std::uint32_t mxcsr = 0;
  std::memcpy(x87, image, sizeof x87);
  std::memcpy(&mxcsr, image + 24, sizeof mxcsr);
  const std::uint32_t raised =
      vector == kX87 ? x87[1] & ~std::uint32_t{x87[0]} & 0x3f : mxcsr & ~(mxcsr >> 7) & 0x3f;
  return float_code(raised);
}

FaultSignal signal_of(const TrapFrame& frame, std::uint64_t address) {
  switch (frame.vector) {
    case kDivide:
      return {SIGFPE, FPE_INTDIV, frame.rip};
    case kDebug:
      return {SIGTRAP, TRAP_TRACE, frame.rip};
    case kBreakpoint:
      return {SIGTRAP, SI_KERNEL, 0};
    case kInvalidOpcode:
      return {SIGILL, ILL_ILLOPN, frame.rip};
    case kSegmentNotPresent:
    case kStackSegment:
      return {SIGBUS, SI_KERNEL, 0};
    case kPageFault:
      return page_fault_signal(last_fault_outcome(), address);
    case kX87:
    case kSimd:
      return {SIGFPE, float_code_of(frame.vector), frame.rip};
    case kAlignment:
      return {SIGBUS, BUS_ADRALN, 0};
    case kOverflow:
    case kBounds:
    default:
      return {SIGSEGV, SI_KERNEL, 0};
  }
}

}  // namespace

void user_exception(TrapFrame& frame, std::uint64_t address) {
  Task& task = current();
  if (frame.vector == kPageFault && last_fault_outcome() == FaultOutcome::kOutOfMemory) {
    static_cast<void>(make_memory_free());
    return;  // the instruction is tried again, unless this process is the one to die
  }
  if (frame.vector == kDebug && task.tracer_steps && is_stale_step(frame)) return;
  task.fault_vector = frame.vector;
  task.fault_error = frame.error_code;
  if (frame.vector == kPageFault) task.fault_address = address;
  const FaultSignal fault = signal_of(frame, address);
  SignalInfo info{};
  info.signal = fault.signal;
  info.code = fault.code;
  info.fault.address = fault.address;
  force_signal(info);
}

}  // namespace quire::kernel
