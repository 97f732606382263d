#include "arch/segments.h"

#include <array>

#include "arch/cpu.h"
#include "arch/interrupts.h"
#include "arch/offsets.h"

extern "C" {
/// One entry point per vector, 16 bytes apart (arch/entry.S).
extern char trap_stubs[];
}

namespace quire::kernel {

// Intel SDM 3A 8.7, figure 8-11.
struct [[gnu::packed]] TaskState {
  std::uint32_t reserved0;
  std::uint64_t rsp[3];
  std::uint64_t reserved1;
  std::uint64_t ist[7];
  std::uint64_t reserved2;
  std::uint16_t reserved3, io_map_base;
};
static_assert(sizeof(TaskState) == 104);

struct Segments {
  alignas(16) std::array<std::uint64_t, QUIRE_CPU_NUMBER / 8 + 1> descriptors;
  TaskState task_state;
};

namespace {

// Intel SDM 3A 6.14.1, figure 6-8.
struct Gate {
  std::uint16_t offset_low, selector;
  std::uint8_t ist, type;
  std::uint16_t offset_middle;
  std::uint32_t offset_high, reserved;
};

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  std::uint64_t base;
};

constinit PerCpu<Segments> all_segments;
alignas(16) constinit std::array<Gate, 256> gates{};

constexpr std::size_t kStubSize = 16;
constexpr std::uint8_t kInterruptGate = 0x8e, kUserInterruptGate = 0xee;

/// IST number of a vector, 0 for the normal stack.
std::uint8_t emergency_stack_of(unsigned vector) {
  switch (vector) {
    case kNmiVector: return 1;
    case kDoubleFaultVector: return 2;
    case kMachineCheckVector: return 3;
    default: return 0;
  }
}

/// Whether a program may raise the vector with INT n (INT3 and INTO do).
bool user_may_raise(unsigned vector) {
  return vector == kBreakpointVector || vector == kOverflowVector;
}

void fill_gates() {
  for (unsigned vector = 0; vector < gates.size(); ++vector) {
    const auto entry = reinterpret_cast<std::uint64_t>(trap_stubs) + vector * kStubSize;
    gates[vector] = {.offset_low = static_cast<std::uint16_t>(entry),
                     .selector = QUIRE_KERNEL_CODE,
                     .ist = emergency_stack_of(vector),
                     .type = user_may_raise(vector) ? kUserInterruptGate : kInterruptGate,
                     .offset_middle = static_cast<std::uint16_t>(entry >> 16),
                     .offset_high = static_cast<std::uint32_t>(entry >> 32),
                     .reserved = 0};
  }
}

/// A segment that nobody loads: its limit tells any program on which CPU it runs (Linux v6.12 arch/x86/kernel/cpu/common.c:setup_getcpu()).
constexpr std::uint64_t cpu_number_segment(unsigned cpu) { return 0x0040f10000000000 | cpu; }

void fill_segments(Segments& segments, unsigned cpu, std::byte* emergency_stacks) {
  TaskState& state = segments.task_state;
  state = {};
  state.io_map_base = sizeof(TaskState);
  for (unsigned i = 0; i < kEmergencyStacks; ++i) {
    state.ist[i] = reinterpret_cast<std::uint64_t>(emergency_stacks + (i + 1) * kEmergencyStackSize);
  }
  auto& table = segments.descriptors;
  table = {};
  table[QUIRE_KERNEL_CODE / 8] = 0x00af9b000000ffff;
  table[QUIRE_KERNEL_DATA / 8] = 0x00cf93000000ffff;
  table[QUIRE_USER_CODE_32 / 8] = 0x00cffb000000ffff;
  table[QUIRE_USER_DATA / 8] = 0x00cff3000000ffff;
  table[QUIRE_USER_CODE / 8] = 0x00affb000000ffff;
  table[QUIRE_CPU_NUMBER / 8] = cpu_number_segment(cpu);
  const auto base = reinterpret_cast<std::uint64_t>(&state);
  table[QUIRE_TSS / 8] = (sizeof(TaskState) - 1) | ((base & 0xffffff) << 16) | (std::uint64_t{0x89} << 40) |
                         ((base >> 24 & 0xff) << 56);
  table[QUIRE_TSS / 8 + 1] = base >> 32;
}

}  // namespace

void load_segments(unsigned cpu, std::byte* emergency_stacks) {
  if (gates[0].selector == 0) fill_gates();
  Segments& segments = all_segments.of(cpu);
  fill_segments(segments, cpu, emergency_stacks);
  const TablePointer gdt{sizeof segments.descriptors - 1,
                         reinterpret_cast<std::uint64_t>(segments.descriptors.data())};
  const TablePointer idt{sizeof gates - 1, reinterpret_cast<std::uint64_t>(gates.data())};
  asm volatile(
      "lgdt %0\n\t"
      "lidt %1\n\t"
      "pushq %2\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "lretq\n"
      "1:\n\t"
      "movl %3, %%ss\n\t"
      "movl %4, %%ds\n\t"
      "movl %4, %%es\n\t"
      "movl %4, %%fs\n\t"
      "movl %4, %%gs\n\t"
      "ltr %w5"
      :
      : "m"(gdt), "m"(idt), "i"(QUIRE_KERNEL_CODE), "r"(QUIRE_KERNEL_DATA), "r"(0), "r"(QUIRE_TSS)
      : "rax", "memory");
}

void set_kernel_stack(std::uint64_t top) {
  Cpu& cpu = this_cpu_data();
  cpu.kernel_stack = top;
  all_segments.of(cpu.index).task_state.rsp[0] = top;
}

}  // namespace quire::kernel
