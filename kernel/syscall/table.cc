#include <array>
#include <atomic>

#include "arch/trap_frame.h"
#include "boot/init.h"
#include "fs/vfs.h"
#include "lib/log.h"
#include "sched/thread.h"
#include "syscall/syscall.h"

namespace quire::kernel {
namespace {

constinit std::array<SyscallHandler, kSyscallNumbers> handlers{};
constinit std::array<std::atomic<std::uint64_t>, kSyscallNumbers> missing{};

void add(std::span<const SyscallEntry> entries) {
  for (const SyscallEntry& entry : entries) handlers[static_cast<std::size_t>(entry.number)] = entry.handler;
}

/// Counts a call that is not there; names it the first time.
[[gnu::cold, gnu::noinline]] void note_missing(std::uint64_t number) {
  if (number >= kSyscallNumbers) {
    log(LogLevel::kInfo, "syscall {}: no such number", number);
  } else if (missing[number].fetch_add(1) == 0) {
    log(LogLevel::kInfo, "syscall {} is missing, called by {}", number, current_thread().name());
  }
}

/// In the place of a call that is not there.
SyscallResult call_missing(const SyscallArgs& args) {
  note_missing(static_cast<std::uint32_t>(args.frame.orig_rax));
  return fail(Errno::kNoSys);
}

[[gnu::always_inline]] inline void call(TrapFrame& frame, std::uint32_t number) {
  const SyscallResult result = handlers[number]({{frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9}, frame});
  drop_released_files();
  frame.rax = static_cast<std::uint64_t>(result ? *result : -static_cast<std::int64_t>(result.error()));
}

/// The number of a call that a tracer has taken back.
constexpr std::uint32_t kNoCall = ~std::uint32_t{0};

[[gnu::noinline]] void dispatch_watched(TrapFrame& frame) {
  if (!begin_watched_call(frame)) return;
  const auto number = static_cast<std::uint32_t>(frame.orig_rax);
  if (number < kSyscallNumbers) return call(frame, number);
  if (number != kNoCall) note_missing(number);
}

}  // namespace

void init_syscalls() {
  handlers.fill(call_missing);
  add(process_syscalls());
  add(memory_syscalls());
  add(file_syscalls());
  add(ipc_syscalls());
  add(net_syscalls());
}

void dispatch_syscall(TrapFrame& frame) {
  const auto number = static_cast<std::uint32_t>(frame.orig_rax);  // as Linux: the upper half of RAX does not count
  if (number >= current_thread().direct_syscalls) [[unlikely]]
    return dispatch_watched(frame);
  call(frame, number);
}

std::uint64_t missing_syscall_count(int number) {
  return number >= 0 && static_cast<std::uint64_t>(number) < kSyscallNumbers ? missing[static_cast<std::size_t>(number)].load() : 0;
}

}  // namespace quire::kernel
