#include "task/trace_registers.h"

#include <sys/user.h>

#include <array>

namespace quire::kernel {

namespace {

constexpr std::uint64_t kUserTop = 0x00007ffffffff000;
constexpr std::uint64_t kTrap = 0x100;
/// CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC (Linux: FLAG_MASK_32).
constexpr std::uint64_t kFlagsToSet = 0x50dd5;
constexpr std::uint64_t kSelectorMask = 0xffff;

constexpr std::size_t number_of(std::size_t offset) { return offset / sizeof(std::uint64_t); }

/// Registers that are more than a word in the frame.
constexpr std::size_t kCs = number_of(offsetof(user_regs_struct, cs)), kFlags = number_of(offsetof(user_regs_struct, eflags)),
                      kSs = number_of(offsetof(user_regs_struct, ss)), kFsBase = number_of(offsetof(user_regs_struct, fs_base)),
                      kGsBase = number_of(offsetof(user_regs_struct, gs_base)), kDs = number_of(offsetof(user_regs_struct, ds));
static_assert(sizeof(user_regs_struct) == TracedRegisters::kCount * sizeof(std::uint64_t) && kDs + 4 == TracedRegisters::kCount);

/// Where the others are, in the order of user_regs_struct.
constexpr std::array kPlaces = {
    &TrapFrame::r15, &TrapFrame::r14,      &TrapFrame::r13, &TrapFrame::r12, &TrapFrame::rbp,    &TrapFrame::rbx, &TrapFrame::r11,
    &TrapFrame::r10, &TrapFrame::r9,       &TrapFrame::r8,  &TrapFrame::rax, &TrapFrame::rcx,    &TrapFrame::rdx, &TrapFrame::rsi,
    &TrapFrame::rdi, &TrapFrame::orig_rax, &TrapFrame::rip, &TrapFrame::cs,  &TrapFrame::rflags, &TrapFrame::rsp, &TrapFrame::ss};
static_assert(kPlaces[number_of(offsetof(user_regs_struct, rip))] == &TrapFrame::rip && kPlaces[kSs] == &TrapFrame::ss);

/// DS, ES, FS and GS hold nothing.
bool is_data_selector(std::size_t i) { return i >= kDs; }

constexpr std::size_t kDebugBegin = offsetof(struct user, u_debugreg), kDebugCount = 8;

/// The kernel's has two more words than the C library's.
constexpr std::size_t kUserSize = sizeof(struct user) + 2 * sizeof(std::uint64_t);

bool is_word_of_user(std::uint64_t offset) { return offset % sizeof(std::uint64_t) == 0 && offset < kUserSize; }
bool is_debug_register(std::uint64_t offset) { return offset >= kDebugBegin && offset < kDebugBegin + kDebugCount * sizeof(std::uint64_t); }

/// There are no breakpoints to set: their addresses stay 0, and none is switched on (Linux: ptrace_set_debugreg(), with no slot free).
Result<void> set_debug_register(std::size_t i, std::uint64_t value) {
  if (i == 4 || i == 5) return fail(Errno::kIo);
  if (i != 6 && value != 0) return fail(Errno::kNoSpc);
  return {};
}

}  // namespace

std::uint64_t TracedRegisters::get(std::size_t i) const {
  if (i == kFsBase) return fs_base;
  if (i == kGsBase) return gs_base;
  if (is_data_selector(i)) return 0;
  if (i == kCs) return kUserCodeSelector;
  if (i == kSs) return kUserDataSelector;
  const std::uint64_t value = frame.*kPlaces[i];
  return i == kFlags && tracer_steps ? value & ~kTrap : value;
}

Result<void> TracedRegisters::set(std::size_t i, std::uint64_t value) const {
  if (i == kCs || i == kSs || is_data_selector(i)) {
    if ((value & kSelectorMask) != get(i)) return fail(Errno::kIo);
  } else if (i == kFsBase || i == kGsBase) {
    if (value >= kUserTop) return fail(Errno::kIo);
    (i == kFsBase ? fs_base : gs_base) = value;
  } else if (i == kFlags) {
    if ((value & kTrap) != 0) {
      tracer_steps = false;
    } else if (tracer_steps) {
      value |= kTrap;
    }
    frame.rflags = (frame.rflags & ~kFlagsToSet) | (value & kFlagsToSet);
  } else {
    frame.*kPlaces[i] = value;
  }
  return {};
}

Result<std::uint64_t> TracedRegisters::peek_user(std::uint64_t offset) const {
  if (!is_word_of_user(offset)) return fail(Errno::kIo);
  return offset < sizeof(user_regs_struct) ? get(number_of(offset)) : 0;
}

Result<void> TracedRegisters::poke_user(std::uint64_t offset, std::uint64_t value) const {
  if (!is_word_of_user(offset)) return fail(Errno::kIo);
  if (offset < sizeof(user_regs_struct)) return set(number_of(offset), value);
  if (is_debug_register(offset)) return set_debug_register(number_of(offset - kDebugBegin), value);
  return fail(Errno::kIo);
}

}  // namespace quire::kernel
