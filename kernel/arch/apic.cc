#include "arch/apic.h"

#include <algorithm>
#include <bit>

#include "arch/features.h"
#include "arch/interrupts.h"
#include "arch/paging.h"
#include "arch/registers.h"

namespace quire::kernel {
namespace {

// Intel SDM 3A 11.4.1, table 11-1: offsets of xAPIC registers; x2APIC MSRs are offset / 16.
enum class Register : std::uint32_t {
  kId = 0x20,
  kTaskPriority = 0x80,
  kEoi = 0xb0,
  kLogicalDestination = 0xd0,
  kDestinationFormat = 0xe0,
  kSpurious = 0xf0,
  kCommandLow = 0x300,
  kCommandHigh = 0x310,
  kTimer = 0x320,
  kLint0 = 0x350,
  kLint1 = 0x360,
  kError = 0x370,
  kInitialCount = 0x380,
  kCurrentCount = 0x390,
  kDivide = 0x3e0,
};

constexpr std::uint64_t kLocalApicPhysical = 0xfee00000, kIoApicPhysical = 0xfec00000;
constexpr std::uint64_t kApicBaseEnable = 1U << 11, kApicBaseX2 = 1U << 10;
constexpr std::uint32_t kSoftwareEnable = 1U << 8, kMasked = 1U << 16;
constexpr std::uint32_t kTimerOneShot = 0, kTimerTscDeadline = 2U << 17;
constexpr std::uint32_t kDivideByOne = 0b1011;
constexpr std::uint32_t kDeliverNmi = 4U << 8, kDeliverInit = 5U << 8, kDeliverStartup = 6U << 8,
                        kLogical = 1U << 11, kAssert = 1U << 14, kAllButSelf = 3U << 18;
/// xAPIC's flat logical mode: a destination is a mask of at most eight CPUs.
constexpr std::uint32_t kFlatFormat = 0xffffffff;
constexpr unsigned kFlatCpus = 8;
constexpr std::uint32_t kIoRedirection = 0x10, kIoLevel = 1U << 15;

volatile std::uint32_t* local_registers = nullptr;
volatile std::uint32_t* io_registers = nullptr;

std::uint32_t read_local(Register r) {
  const auto offset = static_cast<std::uint32_t>(r);
  if (cpu_features().x2apic) {
    return static_cast<std::uint32_t>(read_msr(static_cast<std::uint32_t>(Msr::kX2ApicBase) + offset / 16));
  }
  return local_registers[offset / 4];
}

void write_local(Register r, std::uint32_t value) {
  const auto offset = static_cast<std::uint32_t>(r);
  if (cpu_features().x2apic) {
    write_msr(static_cast<std::uint32_t>(Msr::kX2ApicBase) + offset / 16, value);
  } else {
    local_registers[offset / 4] = value;
  }
}

/// Sends; does not wait for the delivery, which no emulated controller reports as pending.
void write_command(std::uint32_t destination, std::uint32_t command) {
  if (cpu_features().x2apic) {
    const auto msr = static_cast<std::uint32_t>(Msr::kX2ApicBase) +
                     static_cast<std::uint32_t>(Register::kCommandLow) / 16;
    asm volatile("mfence" : : : "memory");  // Intel SDM 3A 11.12.3: the MSR write is not serialising
    write_msr(msr, (std::uint64_t{destination} << 32) | command);
    return;
  }
  const InterruptsOff off;  // a handler on this CPU may send too, and the command has two halves
  write_local(Register::kCommandHigh, destination << 24);
  write_local(Register::kCommandLow, command);
}

void write_io(std::uint32_t index, std::uint32_t value) {
  io_registers[0] = index;
  io_registers[4] = value;
}

}  // namespace

void init_apic() {
  if (!cpu_features().x2apic) {
    local_registers = static_cast<volatile std::uint32_t*>(map_device(kLocalApicPhysical, 4096));
  }
  io_registers = static_cast<volatile std::uint32_t*>(map_device(kIoApicPhysical, 4096));
}

void enable_local_apic() {
  write_msr(Msr::kApicBase,
            read_msr(Msr::kApicBase) | kApicBaseEnable | (cpu_features().x2apic ? kApicBaseX2 : 0));
  write_local(Register::kTaskPriority, 0);
  if (!cpu_features().x2apic && local_apic_id() < kFlatCpus) {
    write_local(Register::kDestinationFormat, kFlatFormat);
    write_local(Register::kLogicalDestination, 1U << (24 + local_apic_id()));
  }
  write_local(Register::kLint0, kMasked);
  write_local(Register::kLint1, kMasked);
  write_local(Register::kError, kMasked);
  write_local(Register::kSpurious, kSoftwareEnable | kSpuriousVector);
  write_local(Register::kDivide, kDivideByOne);
  write_local(Register::kTimer, kTimerVector | (cpu_features().tsc_deadline ? kTimerTscDeadline : kTimerOneShot));
}

std::uint32_t local_apic_id() {
  const std::uint32_t id = read_local(Register::kId);
  return cpu_features().x2apic ? id : id >> 24;
}

void acknowledge_interrupt() { write_local(Register::kEoi, 0); }

void route_device_interrupt(unsigned gsi, unsigned vector, std::uint32_t apic_id) {
  write_io(kIoRedirection + 2 * gsi + 1, apic_id << 24);
  write_io(kIoRedirection + 2 * gsi, vector | kIoLevel);
}

void send_interrupt(std::uint32_t apic_id, unsigned vector) { write_command(apic_id, vector | kAssert); }

void send_interrupt_to(std::uint64_t cpus, unsigned vector) {
  if (!cpu_features().x2apic && cpus >> kFlatCpus == 0) {
    write_command(static_cast<std::uint32_t>(cpus), vector | kAssert | kLogical);
    return;
  }
  for (; cpus != 0; cpus &= cpus - 1) send_interrupt(static_cast<std::uint32_t>(std::countr_zero(cpus)), vector);
}

void send_nmi_to_others() { write_command(0, kDeliverNmi | kAssert | kAllButSelf); }

void start_other_cpus(unsigned page) {
  // The waits of Intel SDM 3A 9.4.4 are for hardware older than the features required here.
  write_command(0, kDeliverInit | kAssert | kAllButSelf);
  write_command(0, kDeliverStartup | kAssert | kAllButSelf | page);
  write_command(0, kDeliverStartup | kAssert | kAllButSelf | page);
}

void arm_local_timer(std::uint64_t ns, std::uint64_t deadline_tsc) {
  if (cpu_features().tsc_deadline) {
    write_msr(Msr::kTscDeadline, deadline_tsc);
    return;
  }
  write_local(Register::kInitialCount,
              static_cast<std::uint32_t>(std::clamp<std::uint64_t>(ns, 1, 0xffffffff)));
}

void disarm_local_timer() {
  if (cpu_features().tsc_deadline) {
    write_msr(Msr::kTscDeadline, 0);
  } else {
    write_local(Register::kInitialCount, 0);
  }
}

void start_local_counter() {
  write_local(Register::kTimer, kTimerVector | kMasked | kTimerOneShot);
  write_local(Register::kInitialCount, 0xffffffff);
}

std::uint32_t read_local_counter() { return read_local(Register::kCurrentCount); }

}  // namespace quire::kernel
