// The frame of a signal handler on the user stack, exactly as Linux lays it out on x86-64 (Linux
// v6.12 arch/x86/kernel/signal_64.c: x64_setup_rt_frame(), arch/x86/kernel/fpu/signal.c). From high
// addresses to low: the 128 bytes below the interrupted stack pointer, which the ABI lets the
// program use; the FPU state, 64-byte aligned; siginfo; ucontext; the address of the restorer.
#include <cstring>
#include <memory>

#include "arch/trap_frame.h"
#include "task/signals.h"

namespace quire::kernel {

namespace {

struct SignalFrame {
  UserAddr restorer;
  uapi::ucontext context;
  uapi::siginfo_t info;
};
static_assert(sizeof(SignalFrame) == 440,
              "Linux v6.12: sizeof(struct rt_sigframe) without the FPU state");

constexpr std::uint64_t kRedZone = 128;
constexpr std::uint64_t kFxsaveSize = 512;
/// Flags that a handler's context may set: AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF (Linux:
/// FIX_EFLAGS).
constexpr std::uint64_t kUserFlags = 0x50dd5;
constexpr std::uint64_t kFlagTrap = 0x100, kFlagDirection = 0x400, kFlagResume = 0x10000;
constexpr std::int32_t kAutoDisarm = static_cast<std::int32_t>(SS_AUTODISARM);

[[nodiscard]] bool is_inside(const AlternateStack& stack, std::uint64_t sp) {
  return sp > stack.base && sp - stack.base <= stack.size;
}

[[nodiscard]] bool is_on_alternate_stack(const AlternateStack& stack, std::uint64_t sp) {
  return (stack.flags & kAutoDisarm) == 0 && is_inside(stack, sp);
}

Result<void> put_fpu_state(UserAddr to) {
  const std::size_t size = Thread::fpu_frame_size();
  const auto buffer = std::make_unique<std::byte[]>(size);
  current_thread().save_fpu_frame(buffer.get());
  return copy_to_user(to, buffer.get(), size);
}

Result<void> get_fpu_state(UserAddr from) {
  if (from == 0) {
    current_thread().reset_fpu();
    return {};
  }
  const std::size_t size = Thread::fpu_frame_size();
  const auto buffer = std::make_unique<std::byte[]>(size);
  // A program may have put a plain FXSAVE image there, at the end of its memory.
  const Result<void> whole = copy_from_user(buffer.get(), from, size);
  if (!whole) QUIRE_CHECK(copy_from_user(buffer.get(), from, kFxsaveSize));
  current_thread().restore_fpu_frame(buffer.get());
  return {};
}

/// Each register of the context beside its place in the trap frame.
template <typename F>
void for_each_register(uapi::sigcontext& context, TrapFrame& frame, F function) {
  function(context.r8, frame.r8);
  function(context.r9, frame.r9);
  function(context.r10, frame.r10);
  function(context.r11, frame.r11);
  function(context.r12, frame.r12);
  function(context.r13, frame.r13);
  function(context.r14, frame.r14);
  function(context.r15, frame.r15);
  function(context.rdi, frame.rdi);
  function(context.rsi, frame.rsi);
  function(context.rbp, frame.rbp);
  function(context.rbx, frame.rbx);
  function(context.rdx, frame.rdx);
  function(context.rax, frame.rax);
  function(context.rcx, frame.rcx);
  function(context.rsp, frame.rsp);
  function(context.rip, frame.rip);
}

void fill_context(uapi::sigcontext& context, TrapFrame& frame, UserAddr fpu_state, SignalSet mask) {
  const Task& task = current();
  for_each_register(context, frame,
                    [](__u64& saved, const std::uint64_t& value) { saved = value; });
  context.eflags = frame.rflags;
  context.cs = static_cast<__u16>(frame.cs);
  context.ss = static_cast<__u16>(frame.ss);
  context.err = task.fault_error;
  context.trapno = task.fault_vector;
  context.oldmask = mask;
  context.cr2 = task.fault_address;
  const std::uint64_t address = fpu_state;
  std::memcpy(&context.fpstate, &address, sizeof address);
}

}  // namespace

Result<void> push_signal_frame(TrapFrame& frame, const SignalInfo& info, const SignalAction& action,
                               SignalSet return_mask) {
  Task& task = current();
  if ((action.flags & SA_RESTORER) == 0) return fail(Errno::kFault);
  AlternateStack& alternate = task.alternate_stack;
  const bool nested = is_on_alternate_stack(alternate, frame.rsp);
  std::uint64_t sp = frame.rsp - kRedZone;
  const bool enters = (action.flags & SA_ONSTACK) != 0 && !nested &&
                      (alternate.flags & SS_DISABLE) == 0 && alternate.size != 0;
  if (enters) sp = alternate.base + alternate.size;
  const UserAddr fpu_state = (sp - Thread::fpu_frame_size()) & ~std::uint64_t{63};
  const UserAddr at = ((fpu_state - sizeof(SignalFrame)) & ~std::uint64_t{15}) - sizeof(UserAddr);
  // Better die of SIGSEGV than run over what lies below the alternate stack.
  if ((nested || enters) && !is_inside(alternate, at)) return fail(Errno::kFault);

  SignalFrame user{};
  user.restorer = action.restorer;
  user.context.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS |
                          (Thread::fpu_frame_size() > kFxsaveSize ? UC_FP_XSTATE : 0);
  static_assert(sizeof user.context.uc_stack == sizeof alternate);
  std::memcpy(&user.context.uc_stack, &alternate, sizeof alternate);
  fill_context(user.context.uc_mcontext, frame, fpu_state, return_mask);
  user.context.uc_sigmask = return_mask;
  std::memcpy(&user.info, &info, sizeof info);
  QUIRE_CHECK(put_fpu_state(fpu_state));
  QUIRE_CHECK(copy_to_user(at, &user, sizeof user));

  if ((alternate.flags & kAutoDisarm) != 0) alternate = {};
  frame.rdi = static_cast<std::uint64_t>(info.signal);
  frame.rsi = at + offsetof(SignalFrame, info);
  frame.rdx = at + offsetof(SignalFrame, context);
  frame.rax = 0;
  frame.rsp = at;
  frame.rip = action.handler;
  frame.rflags &= ~(kFlagTrap | kFlagDirection | kFlagResume);
  return {};
}

Result<void> pop_signal_frame(TrapFrame& frame) {
  Task& task = current();
  QUIRE_TRY(auto user, get_user<SignalFrame>(frame.rsp - sizeof(UserAddr)));
  uapi::sigcontext& context = user.context.uc_mcontext;
  set_blocked(user.context.uc_sigmask);
  for_each_register(context, frame,
                    [](const __u64& saved, std::uint64_t& value) { value = saved; });
  frame.rflags = (frame.rflags & ~kUserFlags) | (context.eflags & kUserFlags);
  frame.orig_rax = ~std::uint64_t{0};
  std::uint64_t fpu_state = 0;
  std::memcpy(&fpu_state, &context.fpstate, sizeof fpu_state);
  QUIRE_CHECK(get_fpu_state(fpu_state));
  // As sigaltstack would set it, errors ignored (Linux: restore_altstack()); not while on it.
  AlternateStack stack;
  std::memcpy(&stack, &user.context.uc_stack, sizeof stack);
  static_cast<void>(change_alternate_stack(task, stack, frame.rsp));
  return {};
}

}  // namespace quire::kernel
