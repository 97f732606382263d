// The drivers of the virtio devices: each takes a slot with its kind of device and makes it work. False if the device declines.
#pragma once

#include "drivers/virtio_mmio.h"

namespace quire::kernel {

bool start_console(VirtioMmio& slot);
bool start_nine_p(VirtioMmio& slot);
bool start_rng(VirtioMmio& slot);

/// Seeds the generator when all devices have had their chance.
void seed_random();

}  // namespace quire::kernel
