// The virtio-mmio transport, version 2 (Virtio 1.2, 4.2): finding a device, agreeing on features, its queues and interrupt.
//
// QEMU gives every slot of the machine on the kernel command line; empty ones say device id 0. Drivers derive from VirtioDevice,
// live for ever, and may sleep in start().
#pragma once

#include <cstdint>
#include <span>

#include "drivers/virtqueue.h"

namespace quire::kernel {

/// One slot.
class VirtioMmio {
 public:
  VirtioMmio(std::uint64_t base, std::size_t size, unsigned gsi);

  /// Virtio device id (linux/virtio_ids.h), 0 if the slot is empty or older than version 2.
  [[nodiscard]] std::uint32_t device_id() const;

  /// Resets the device and agrees on VIRTIO_F_VERSION_1 and those of `wanted` that it has. False if it declines.
  bool negotiate(std::uint64_t wanted);
  /// Sets queue `index` up, with as many entries as device and Virtqueue allow.
  void set_up(Virtqueue& queue, std::uint16_t index);
  /// Lets the device begin; from now on its interrupts finish what `queues` have.
  void begin(std::span<Virtqueue> queues);

  [[nodiscard]] std::uint8_t config8(std::size_t offset) const;
  [[nodiscard]] std::uint32_t config32(std::size_t offset) const;

 private:
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const { return registers_[offset / 4]; }
  void write(std::uint32_t offset, std::uint32_t value) { registers_[offset / 4] = value; }
  void write64(std::uint32_t low_offset, std::uint64_t value);
  void on_interrupt();

  volatile std::uint32_t* registers_;
  unsigned gsi_;
  std::span<Virtqueue> queues_;
};

}  // namespace quire::kernel
