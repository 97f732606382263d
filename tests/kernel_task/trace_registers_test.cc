#include "task/trace_registers.h"

#include <gtest/gtest.h>
#include <sys/user.h>

namespace quire::kernel {
namespace {

constexpr std::uint64_t kTrap = 0x100, kInterrupts = 0x200;

class TraceRegisters : public ::testing::Test {
 protected:
  TraceRegisters() { frame_.rflags = kInterrupts; }
  [[nodiscard]] TracedRegisters registers() { return {frame_, fs_base_, gs_base_, steps_}; }
  /// The error of setting what is at `offset` of struct user, or nothing.
  [[nodiscard]] int poke(std::uint64_t offset, std::uint64_t value) {
    const Result<void> result = registers().poke_user(offset, value);
    return result ? 0 : static_cast<int>(result.error());
  }
  [[nodiscard]] int set(std::size_t offset, std::uint64_t value) {
    const Result<void> result = registers().set(offset / 8, value);
    return result ? 0 : static_cast<int>(result.error());
  }
  TrapFrame frame_{};
  std::uint64_t fs_base_ = 0, gs_base_ = 0;
  bool steps_ = false;
};

TEST_F(TraceRegisters, EachIsWhereItsNameSays) {
#define QUIRE_EXPECT_AT(theirs, ours)                                 \
  frame_ = {};                                                        \
  EXPECT_EQ(set(offsetof(user_regs_struct, theirs), 0x123456789), 0); \
  EXPECT_EQ(frame_.ours, 0x123456789U);                               \
  EXPECT_EQ(registers().get(offsetof(user_regs_struct, theirs) / 8), 0x123456789U)
  QUIRE_EXPECT_AT(r15, r15);
  QUIRE_EXPECT_AT(r14, r14);
  QUIRE_EXPECT_AT(r13, r13);
  QUIRE_EXPECT_AT(r12, r12);
  QUIRE_EXPECT_AT(rbp, rbp);
  QUIRE_EXPECT_AT(rbx, rbx);
  QUIRE_EXPECT_AT(r11, r11);
  QUIRE_EXPECT_AT(r10, r10);
  QUIRE_EXPECT_AT(r9, r9);
  QUIRE_EXPECT_AT(r8, r8);
  QUIRE_EXPECT_AT(rax, rax);
  QUIRE_EXPECT_AT(rcx, rcx);
  QUIRE_EXPECT_AT(rdx, rdx);
  QUIRE_EXPECT_AT(rsi, rsi);
  QUIRE_EXPECT_AT(rdi, rdi);
  QUIRE_EXPECT_AT(orig_rax, orig_rax);
  QUIRE_EXPECT_AT(rip, rip);
  QUIRE_EXPECT_AT(rsp, rsp);
#undef QUIRE_EXPECT_AT
}

TEST_F(TraceRegisters, SelectorsAreTheProgramsOnly) {
  EXPECT_EQ(set(offsetof(user_regs_struct, cs), kUserCodeSelector), 0);
  EXPECT_EQ(set(offsetof(user_regs_struct, ss), kUserDataSelector), 0);
  for (const std::uint64_t selector : {0x0U, 0x8U, 0x10U, 0x23U, 0x38U}) {
    EXPECT_EQ(set(offsetof(user_regs_struct, cs), selector), EIO) << selector;
    EXPECT_EQ(set(offsetof(user_regs_struct, ss), selector), EIO) << selector;
  }
  for (const std::size_t i :
       {offsetof(user_regs_struct, ds), offsetof(user_regs_struct, es), offsetof(user_regs_struct, fs), offsetof(user_regs_struct, gs)}) {
    EXPECT_EQ(set(i, 0), 0);
    EXPECT_EQ(set(i, 0x10), EIO);
  }
  EXPECT_EQ(frame_.cs, 0U) << "the way back to user mode sets them";
}

TEST_F(TraceRegisters, BasesLieInUserMemory) {
  EXPECT_EQ(set(offsetof(user_regs_struct, fs_base), 0x00007fffffffefff), 0);
  EXPECT_EQ(fs_base_, 0x00007fffffffefffU);
  for (const std::uint64_t base : {0x00007ffffffff000U, 0x0000800000000000U, 0xffff800000000000U}) {
    EXPECT_EQ(set(offsetof(user_regs_struct, fs_base), base), EIO);
    EXPECT_EQ(set(offsetof(user_regs_struct, gs_base), base), EIO);
  }
}

TEST_F(TraceRegisters, OnlyAProgramsFlagsAreSet) {
  EXPECT_EQ(set(offsetof(user_regs_struct, eflags), ~std::uint64_t{0}), 0);
  EXPECT_EQ(frame_.rflags, 0x50dd5U | kInterrupts);
  EXPECT_EQ(set(offsetof(user_regs_struct, eflags), 0), 0);
  EXPECT_EQ(frame_.rflags, kInterrupts);
}

TEST_F(TraceRegisters, TheTracersTrapFlagIsNotTheProgramsToSee) {
  frame_.rflags |= kTrap;
  steps_ = true;
  EXPECT_EQ(registers().get(offsetof(user_regs_struct, eflags) / 8), kInterrupts);
  EXPECT_EQ(set(offsetof(user_regs_struct, eflags), 1), 0);
  EXPECT_EQ(frame_.rflags, kTrap | kInterrupts | 1) << "it stays";
  EXPECT_EQ(set(offsetof(user_regs_struct, eflags), kTrap), 0);
  EXPECT_FALSE(steps_) << "now it is the program's";
  EXPECT_EQ(registers().get(offsetof(user_regs_struct, eflags) / 8), kTrap | kInterrupts);
}

TEST_F(TraceRegisters, TheUserAreaHasWordsAtTheirPlacesOnly) {
  frame_.rbx = 7;
  EXPECT_EQ(*registers().peek_user(offsetof(user_regs_struct, rbx)), 7U);
  EXPECT_EQ(registers().peek_user(4).error(), Errno::kIo);
  EXPECT_EQ(registers().peek_user(~std::uint64_t{7}).error(), Errno::kIo);
  EXPECT_EQ(registers().peek_user(sizeof(struct user) + 16).error(), Errno::kIo);
  EXPECT_EQ(*registers().peek_user(offsetof(struct user, u_tsize)), 0U);
  EXPECT_EQ(poke(offsetof(struct user, u_tsize), 1), EIO);
  EXPECT_EQ(poke(~std::uint64_t{7}, 1), EIO);
}

TEST_F(TraceRegisters, ThereAreNoBreakpointsOfTheHardware) {
  for (const std::size_t i : {0U, 1U, 2U, 3U, 7U}) {
    EXPECT_EQ(poke(offsetof(struct user, u_debugreg) + i * 8, 0), 0) << i;
    EXPECT_EQ(poke(offsetof(struct user, u_debugreg) + i * 8, 0x401), ENOSPC) << i;
  }
  EXPECT_EQ(poke(offsetof(struct user, u_debugreg[4]), 0), EIO);
  EXPECT_EQ(poke(offsetof(struct user, u_debugreg[6]), 0xffff0ff0), 0);
}

}  // namespace
}  // namespace quire::kernel
