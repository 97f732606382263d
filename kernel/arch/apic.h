// The interrupt controllers: each CPU's local APIC (xAPIC, or x2APIC where the CPU has it) and the IOAPIC.
//
// The local APIC's timer counts at 1 GHz on every QEMU accelerator (TCG: hw/intc/apic.c counts virtual
// nanoseconds; KVM: APIC_BUS_CYCLE_NS is 1), so it needs no calibration and the TSC is calibrated by it.
#pragma once

#include <cstdint>

namespace quire::kernel {

/// Maps the controllers. Once, on the first CPU.
void init_apic();
/// Switches this CPU's local APIC on.
void enable_local_apic();
std::uint32_t local_apic_id();
void acknowledge_interrupt();

/// Routes a GSI to a vector of one CPU: level triggered, active high.
void route_device_interrupt(unsigned gsi, unsigned vector, std::uint32_t apic_id);

void send_interrupt(std::uint32_t apic_id, unsigned vector);
/// The same to several CPUs, given as a mask of APIC ids: one command where the controller allows it.
void send_interrupt_to(std::uint64_t cpus, unsigned vector);
/// Stops the other CPUs' current work for good (panic).
void send_nmi_to_others();
/// INIT, then SIPI twice, to every other CPU: they start in real mode at `page` × 4096.
void start_other_cpus(unsigned page);

/// Raises kTimerVector on this CPU once: after `ns` nanoseconds, or when the TSC passes `deadline_tsc` if the CPU has such a timer.
void arm_local_timer(std::uint64_t ns, std::uint64_t deadline_tsc);
/// Takes an arm_local_timer() back.
void disarm_local_timer();
/// The timer's counter, counting down at 1 GHz, for calibration.
void start_local_counter();
std::uint32_t read_local_counter();

}  // namespace quire::kernel
