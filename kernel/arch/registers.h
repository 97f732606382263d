// Ports, model-specific and control registers of the CPU: one inline function per instruction.
//
// Nothing here has state or policy. Bits are named where they are used by more than one file.
#pragma once

#include <cstdint>

namespace quire::kernel {

inline constexpr std::uint64_t kFlagTrap = 1U << 8, kFlagInterrupt = 1U << 9, kFlagDirection = 1U << 10,
                               kFlagIoPrivilege = 3U << 12, kFlagNested = 1U << 14,
                               kFlagResume = 1U << 16, kFlagAlignment = 1U << 18;

inline constexpr std::uint64_t kCr0Monitor = 1U << 1, kCr0Emulate = 1U << 2, kCr0TaskSwitched = 1U << 3,
                               kCr0NumericError = 1U << 5, kCr0WriteProtect = 1U << 16;
inline constexpr std::uint64_t kCr4Pge = 1U << 7, kCr4OsFxsr = 1U << 9, kCr4OsXmmExcept = 1U << 10,
                               kCr4Umip = 1U << 11, kCr4Pcid = 1U << 17, kCr4OsXsave = 1U << 18,
                               kCr4Smep = 1U << 20, kCr4Smap = 1U << 21;

enum class Msr : std::uint32_t {
  kApicBase = 0x1b,
  kTscDeadline = 0x6e0,
  kX2ApicBase = 0x800,
  kEfer = 0xc0000080,
  kStar = 0xc0000081,
  kLstar = 0xc0000082,
  kCstar = 0xc0000083,
  kSyscallMask = 0xc0000084,
  kFsBase = 0xc0000100,
  kGsBase = 0xc0000101,
  kKernelGsBase = 0xc0000102,
};

inline void write_port8(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline void write_port16(std::uint16_t port, std::uint16_t value) {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
inline std::uint8_t read_port8(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline std::uint64_t read_msr(std::uint32_t msr) {
  std::uint32_t low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return (std::uint64_t{high} << 32) | low;
}
inline void write_msr(std::uint32_t msr, std::uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(msr), "a"(static_cast<std::uint32_t>(value)),
                 "d"(static_cast<std::uint32_t>(value >> 32))
               : "memory");
}
inline std::uint64_t read_msr(Msr msr) { return read_msr(static_cast<std::uint32_t>(msr)); }
inline void write_msr(Msr msr, std::uint64_t value) {
  write_msr(static_cast<std::uint32_t>(msr), value);
}

inline std::uint64_t read_cr0() {
  std::uint64_t value;
  asm volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}
inline void write_cr0(std::uint64_t value) { asm volatile("mov %0, %%cr0" : : "r"(value) : "memory"); }
inline std::uint64_t read_cr2() {
  std::uint64_t value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
inline std::uint64_t read_cr3() {
  std::uint64_t value;
  asm volatile("mov %%cr3, %0" : "=r"(value) : : "memory");
  return value;
}
inline void write_cr3(std::uint64_t value) { asm volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }
inline std::uint64_t read_cr4() {
  std::uint64_t value;
  asm volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}
inline void write_cr4(std::uint64_t value) { asm volatile("mov %0, %%cr4" : : "r"(value) : "memory"); }
inline void invalidate_page(std::uint64_t address) {
  asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

inline std::uint64_t read_tsc() {
  std::uint32_t low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return (std::uint64_t{high} << 32) | low;
}

struct CpuidResult {
  std::uint32_t eax, ebx, ecx, edx;
};
inline CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  CpuidResult r;
  asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  return r;
}

inline void pause_cpu() { asm volatile("pause" : : : "memory"); }
inline void enable_interrupts() { asm volatile("sti" : : : "memory"); }
inline void disable_interrupts() { asm volatile("cli" : : : "memory"); }
/// Enables interrupts and waits for one; nothing can come between the two.
inline void enable_interrupts_and_halt() { asm volatile("sti; hlt" : : : "memory"); }
[[noreturn]] inline void halt_forever() {
  for (;;) asm volatile("cli; hlt" : : : "memory");
}

inline bool interrupts_enabled() {
  std::uint64_t flags;
  asm volatile("pushfq; popq %0" : "=r"(flags));
  return (flags & kFlagInterrupt) != 0;
}

/// RFLAGS as they were; interrupts are off afterwards.
inline std::uint64_t save_and_disable_interrupts() {
  std::uint64_t flags;
  asm volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
  return flags;
}
inline void restore_interrupts(std::uint64_t flags) {
  if ((flags & kFlagInterrupt) != 0) enable_interrupts();
}

/// Interrupts stay off in a scope.
class InterruptsOff {
 public:
  InterruptsOff() : flags_(save_and_disable_interrupts()) {}
  ~InterruptsOff() { restore_interrupts(flags_); }
  InterruptsOff(const InterruptsOff&) = delete;
  InterruptsOff& operator=(const InterruptsOff&) = delete;

 private:
  std::uint64_t flags_;
};

}  // namespace quire::kernel
