#include "drivers/virtio_mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <algorithm>

#include "arch/interrupts.h"
#include "arch/paging.h"

namespace quire::kernel {
namespace {

constexpr std::uint32_t kMagic = 0x74726976;  // "virt"
constexpr std::uint32_t kVersion = 2;

}  // namespace

VirtioMmio::VirtioMmio(std::uint64_t base, std::size_t size, unsigned gsi)
    : registers_(static_cast<volatile std::uint32_t*>(map_device(base, size))), gsi_(gsi) {}

std::uint32_t VirtioMmio::device_id() const {
  if (read(VIRTIO_MMIO_MAGIC_VALUE) != kMagic || read(VIRTIO_MMIO_VERSION) != kVersion) return 0;
  return read(VIRTIO_MMIO_DEVICE_ID);
}

void VirtioMmio::write64(std::uint32_t low_offset, std::uint64_t value) {
  write(low_offset, static_cast<std::uint32_t>(value));
  write(low_offset + 4, static_cast<std::uint32_t>(value >> 32));
}

bool VirtioMmio::negotiate(std::uint64_t wanted) {
  write(VIRTIO_MMIO_STATUS, 0);
  write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
  std::uint64_t offered = 0;
  for (unsigned half = 0; half < 2; ++half) {
    write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
    offered |= std::uint64_t{read(VIRTIO_MMIO_DEVICE_FEATURES)} << (32 * half);
  }
  const std::uint64_t agreed = offered & (wanted | std::uint64_t{1} << VIRTIO_F_VERSION_1);
  for (unsigned half = 0; half < 2; ++half) {
    write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
    write(VIRTIO_MMIO_DRIVER_FEATURES, static_cast<std::uint32_t>(agreed >> (32 * half)));
  }
  write(VIRTIO_MMIO_STATUS, read(VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_FEATURES_OK);
  return (read(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
}

void VirtioMmio::set_up(Virtqueue& queue, std::uint16_t index) {
  write(VIRTIO_MMIO_QUEUE_SEL, index);
  const std::uint32_t most = read(VIRTIO_MMIO_QUEUE_NUM_MAX);
  if (most == 0) return;
  const auto size = static_cast<std::uint16_t>(std::min<std::uint32_t>(most, Virtqueue::kMaxSize));
  queue.init(size, index, registers_ + VIRTIO_MMIO_QUEUE_NOTIFY / 4);
  write(VIRTIO_MMIO_QUEUE_NUM, size);
  write64(VIRTIO_MMIO_QUEUE_DESC_LOW, queue.descriptor_address());
  write64(VIRTIO_MMIO_QUEUE_AVAIL_LOW, queue.available_address());
  write64(VIRTIO_MMIO_QUEUE_USED_LOW, queue.used_address());
  write(VIRTIO_MMIO_QUEUE_READY, 1);
}

void VirtioMmio::begin(std::span<Virtqueue> queues) {
  queues_ = queues;
  register_device_interrupt(gsi_, [](void* self) { static_cast<VirtioMmio*>(self)->on_interrupt(); }, this);
  write(VIRTIO_MMIO_STATUS, read(VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

void VirtioMmio::on_interrupt() {
  write(VIRTIO_MMIO_INTERRUPT_ACK, read(VIRTIO_MMIO_INTERRUPT_STATUS));
  for (Virtqueue& queue : queues_) {
    if (queue.exists()) queue.finish_used();
  }
}

std::uint8_t VirtioMmio::config8(std::size_t offset) const {
  return reinterpret_cast<const volatile std::uint8_t*>(registers_)[VIRTIO_MMIO_CONFIG + offset];
}

std::uint32_t VirtioMmio::config32(std::size_t offset) const {
  return read(static_cast<std::uint32_t>(VIRTIO_MMIO_CONFIG + offset));
}

}  // namespace quire::kernel
