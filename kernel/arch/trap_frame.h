// Registers saved at every entry to the kernel (interrupt, exception, system call), in the order the entry code pushes them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/offsets.h"

namespace quire::kernel {

struct TrapFrame {
  std::uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  std::uint64_t orig_rax;  ///< system call number; ~0 outside system calls
  std::uint64_t vector, error_code;
  std::uint64_t rip, cs, rflags, rsp, ss;  ///< as the CPU pushes them
  [[nodiscard]] bool from_user() const { return (cs & 3) == 3; }
};
static_assert(offsetof(TrapFrame, r11) == QUIRE_FRAME_R11 && offsetof(TrapFrame, rcx) == QUIRE_FRAME_RCX);
static_assert(offsetof(TrapFrame, rip) == QUIRE_FRAME_RIP && offsetof(TrapFrame, cs) == QUIRE_FRAME_CS);
static_assert(offsetof(TrapFrame, rflags) == QUIRE_FRAME_RFLAGS && offsetof(TrapFrame, rsp) == QUIRE_FRAME_RSP);
static_assert(offsetof(TrapFrame, ss) == QUIRE_FRAME_SS && sizeof(TrapFrame) == QUIRE_FRAME_SIZE);

/// Selectors of user mode, Linux's: what a new context starts with. The return path enforces them.
inline constexpr std::uint64_t kUserCodeSelector = QUIRE_USER_CODE, kUserDataSelector = QUIRE_USER_DATA;

}  // namespace quire::kernel
