#include "arch/panic.h"

#include <atomic>

#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/interrupts.h"
#include "arch/layout.h"
#include "arch/paging.h"
#include "arch/registers.h"
#include "arch/symbols.h"
#include "lib/log.h"
#include "sched/thread.h"

namespace quire::kernel {
namespace {

constexpr std::uint16_t kExitPort = 0xf4;
constexpr int kMaxFrames = 32;

constinit std::atomic<bool> panicking{false};
using Report = void (*)();
constinit Report extra_report = nullptr;

template <typename... Arguments>
void print(std::string_view format, const Arguments&... arguments) {
  log(LogLevel::kAlways, format, arguments...);
}

/// The first CPU to panic goes on; any other, and a panic within the panic, ends here.
void begin_panic() {
  disable_interrupts();
  if (panicking.exchange(true)) {
    print("panic: again, while panicking");
    power_off(MachineEnd::kPanic);
  }
  if ((online_cpus.load() & (online_cpus.load() - 1)) != 0) send_nmi_to_others();
  seize_log();
}

void print_location(std::uint64_t address) {
  const Symbol symbol = find_symbol(address);
  print("  {:x} {}+0x{:x}", address, symbol.name.empty() ? "?" : symbol.name, symbol.offset);
}

/// Follows frame pointers as long as they lead upward through mapped kernel memory.
void print_backtrace(std::uint64_t frame_pointer) {
  print("backtrace:");
  for (int i = 0; i < kMaxFrames; ++i) {
    if (frame_pointer < kDirectMapBase || (frame_pointer & 7) != 0 || leaf_entry_of(frame_pointer) == 0 ||
        leaf_entry_of(frame_pointer + 8) == 0) {
      break;
    }
    const auto* frame = reinterpret_cast<const std::uint64_t*>(frame_pointer);
    if (frame[1] == 0) break;
    print_location(frame[1] - 1);
    if (frame[0] <= frame_pointer) break;
    frame_pointer = frame[0];
  }
}

[[noreturn]] void end_panic() {
  if (extra_report != nullptr) extra_report();  // may panic itself, or spin on a lock that nobody gives up
  power_off(MachineEnd::kPanic);
}

void print_registers(const TrapFrame& f, std::uint64_t fault_address) {
  print("vector {} error {:x} cr2 {:x} cr3 {:x}", f.vector, f.error_code, fault_address, read_cr3());
  print("rip {:x} cs {:x} rflags {:x} rsp {:x} ss {:x}", f.rip, f.cs, f.rflags, f.rsp, f.ss);
  print("rax {:x} rbx {:x} rcx {:x} rdx {:x} rsi {:x} rdi {:x}", f.rax, f.rbx, f.rcx, f.rdx, f.rsi, f.rdi);
  print("rbp {:x} r8 {:x} r9 {:x} r10 {:x} r11 {:x}", f.rbp, f.r8, f.r9, f.r10, f.r11);
  print("r12 {:x} r13 {:x} r14 {:x} r15 {:x} orig_rax {:x}", f.r12, f.r13, f.r14, f.r15, f.orig_rax);
}

void print_place() {
  const Cpu& cpu = this_cpu_data();
  print("cpu {} thread {}", cpu.index, cpu.current != nullptr ? cpu.current->name() : "none");
}

std::string_view describe(const TrapFrame& frame, std::uint64_t fault_address) {
  switch (frame.vector) {
    case kPageFaultVector: return "page fault in the kernel";
    case kDoubleFaultVector:
      return fault_address >= kBlockBase && fault_address < kBlockEnd ? "kernel stack overflow" : "double fault";
    case kMachineCheckVector: return "machine check";
    case kNmiVector: return "non-maskable interrupt";
    default: return "exception in the kernel";
  }
}

}  // namespace

void panic(std::string_view text) {
  begin_panic();
  print("panic: {}", text);
  print_place();
  print_backtrace(reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)));
  end_panic();
}

void panic_trap(const TrapFrame& frame, std::uint64_t fault_address) {
  // A panicking CPU stops the others this way.
  if (frame.vector == kNmiVector && panicking.load()) halt_forever();
  begin_panic();
  print("panic: {}", describe(frame, fault_address));
  print_place();
  print_registers(frame, fault_address);
  print_location(frame.rip);
  if (!frame.from_user()) print_backtrace(frame.rbp);
  end_panic();
}

void note_spin_in_panic() {
  constexpr unsigned kPatience = 1'000'000;
  static constinit unsigned spins = 0;
  if (!panicking.load(std::memory_order_relaxed) || ++spins < kPatience) return;
  print("panic: a lock is held; the report ends here");
  power_off(MachineEnd::kPanic);
}

void set_panic_report(void (*report)()) { extra_report = report; }

void power_off(MachineEnd end) {
  write_port8(kExitPort, static_cast<std::uint8_t>(end));
  halt_forever();
}

}  // namespace quire::kernel
