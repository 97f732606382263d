// Starting the other CPUs.
#pragma once

namespace quire::kernel {

/// CPUs of the machine, as QEMU's firmware configuration tells.
unsigned configured_cpus();

/// Starts CPUs 1 … N−1 and waits until all are up. Each ends in the scheduler's idle loop. Pre: heap, APIC and scheduler work.
void start_cpus();

/// What every CPU does once its tables are loaded: features, FPU, local APIC, idle thread.
void bring_up_cpu(unsigned index);

}  // namespace quire::kernel
