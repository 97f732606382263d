#include "arch/interrupts.h"

#include <array>

#include "arch/apic.h"
#include "arch/cpu.h"
#include "mm/shootdown.h"
#include "sched/scheduler.h"
#include "time/timer_queue.h"

namespace quire::kernel {
namespace {

struct DeviceInterrupt {
  InterruptHandler handler = nullptr;
  void* argument = nullptr;
};
constinit std::array<DeviceInterrupt, kDeviceCount> devices{};

}  // namespace

void register_device_interrupt(unsigned gsi, InterruptHandler handler, void* argument) {
  if (gsi >= kDeviceCount) return;
  devices[gsi] = {handler, argument};
  route_device_interrupt(gsi, kDeviceVector + gsi, cpu_data(0).apic_id);
}

void handle_interrupt(unsigned vector) {
  if (vector == kSpuriousVector) return;
  Cpu& cpu = this_cpu_data();
  ++cpu.interrupts;
  cpu.in_interrupt = true;
  switch (vector) {
    case kRescheduleVector: on_reschedule_interrupt(); break;
    case kShootdownVector: answer_shootdowns(); break;
    case kTimerVector: on_timer_interrupt(); break;
    default:
      if (vector >= kDeviceVector && vector < kDeviceVector + kDeviceCount) {
        const DeviceInterrupt& device = devices[vector - kDeviceVector];
        if (device.handler != nullptr) device.handler(device.argument);
      }
      break;
  }
  cpu.in_interrupt = false;
  acknowledge_interrupt();
}

}  // namespace quire::kernel
