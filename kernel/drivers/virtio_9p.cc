// The 9p transport (Virtio 1.2, 5.10 is reserved; QEMU hw/9pfs/virtio-9p-device.c): a request and room for its reply are one chain.
#include <linux/virtio_9p.h>

#include <array>
#include <string>
#include <vector>

#include "drivers/console_port.h"
#include "drivers/devices.h"
#include "lib/log.h"

namespace quire::kernel {
namespace {

class NinePDevice final : public NinePTransport {
 public:
  explicit NinePDevice(VirtioMmio& slot) : slot_(slot) {}

  bool start() {
    if (!slot_.negotiate(std::uint64_t{1} << VIRTIO_9P_MOUNT_TAG)) return false;
    const std::size_t length = slot_.config8(0) | static_cast<std::size_t>(slot_.config8(1)) << 8;
    for (std::size_t i = 0; i < length; ++i) tag_.push_back(static_cast<char>(slot_.config8(2 + i)));
    slot_.set_up(queue_[0], 0);
    slot_.begin(queue_);
    return true;
  }
  [[nodiscard]] std::string_view tag() const { return tag_; }

  std::size_t exchange(const void* request, std::size_t size, void* reply, std::size_t reply_size) override {
    NinePExchange one{.request = request, .size = size, .reply = reply, .reply_size = reply_size};
    exchange_all({&one, 1});
    return one.result;
  }

  void exchange_all(std::span<NinePExchange> exchanges) override {
    std::array<AwaitedRequest, kMaxExchanges> awaited;
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
      const NinePExchange& e = exchanges[i];
      const std::array buffers{VirtioBuffer{e.request, e.size, VirtioBuffer::Direction::kToDevice},
                               VirtioBuffer{e.reply, e.reply_size, VirtioBuffer::Direction::kFromDevice}};
      queue_[0].add_when_room(buffers, awaited[i]);
    }
    for (std::size_t i = 0; i < exchanges.size(); ++i) exchanges[i].result = awaited[i].wait();
  }

 private:
  VirtioMmio& slot_;
  std::array<Virtqueue, 1> queue_;
  std::string tag_;
};

/// In order of discovery; devices live for ever.
std::vector<NinePDevice*> devices;

}  // namespace

bool start_nine_p(VirtioMmio& slot) {
  auto* const device = new NinePDevice(slot);
  if (!device->start()) return false;
  log(LogLevel::kInfo, "9p share {}", device->tag());
  devices.push_back(device);
  return true;
}

NinePTransport* nine_p_transport(std::string_view tag) {
  for (NinePDevice* const device : devices) {
    if (device->tag() == tag) return device;
  }
  return nullptr;
}

}  // namespace quire::kernel
