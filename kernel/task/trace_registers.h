// The registers of a stopped task as its tracer sees and sets them: struct user_regs_struct and struct user of <sys/user.h>.
//
// Pure: a frame in, a frame out. What is stored is checked as Linux checks it (v6.12 arch/x86/kernel/ptrace.c:putreg()), but for selectors:
// the kernel gives every program the same ones, so only those are accepted. The way back to user mode (arch/entry.S) trusts none of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/trap_frame.h"
#include "quire/base/errno.h"

namespace quire::kernel {

struct TracedRegisters {
  TrapFrame& frame;
  std::uint64_t &fs_base, &gs_base;
  bool& tracer_steps;  ///< RFLAGS.TF in the frame is the tracer's, not the program's

  static constexpr std::size_t kCount = 27;
  /// Register number i of struct user_regs_struct. Pre: i < kCount.
  [[nodiscard]] std::uint64_t get(std::size_t i) const;
  /// Errors: EIO (no such selector, or an address that no program has).
  Result<void> set(std::size_t i, std::uint64_t value) const;

  /// A word of struct user at `offset`. Errors: EIO (none there).
  [[nodiscard]] Result<std::uint64_t> peek_user(std::uint64_t offset) const;
  /// Errors: EIO; ENOSPC (a breakpoint of the hardware, of which there are none).
  Result<void> poke_user(std::uint64_t offset, std::uint64_t value) const;
};

}  // namespace quire::kernel
