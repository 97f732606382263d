// Registers saved at every entry to the kernel (interrupt, exception, system call), in the order the entry code pushes them.
#pragma once

#include <cstdint>

namespace quire::kernel {

struct TrapFrame {
  std::uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  std::uint64_t orig_rax;  ///< system call number; ~0 outside system calls
  std::uint64_t vector, error_code;
  std::uint64_t rip, cs, rflags, rsp, ss;  ///< as the CPU pushes them
  [[nodiscard]] bool from_user() const { return (cs & 3) == 3; }
};

}  // namespace quire::kernel
