// The multiport console (Virtio 1.2, 5.3): named byte streams to the command.
//
// The device announces its ports by control messages, which are answered in the interrupt. A port's receive buffers are posted when
// somebody asks for the port by name; until then the host is not told that it is open, and keeps what it has to say.
// What is written goes through one buffer of the port's own, so a writer that is killed while the host takes nothing leaves nothing of its
// own behind.
#include <linux/virtio_console.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "drivers/console_port.h"
#include "drivers/devices.h"
#include "drivers/host_wait.h"
#include "lib/log.h"
#include "mm/frames.h"
#include "quire/base/assert.h"
#include "quire/base/types.h"
#include "time/clock.h"

namespace quire::kernel {
namespace {

using Direction = VirtioBuffer::Direction;

constexpr std::size_t kMaxPorts = 8, kReceiveBuffers = 8, kControlBuffers = 32;
constexpr std::size_t kWriteChunk = 32 * 1024;
constexpr std::uint32_t kNoPort = 0xffffffff;

class Console;

/// A frame the device fills; then it waits on its port's list until it is read.
struct ReceiveBuffer : VirtioRequest {
  class Port* port = nullptr;
  std::byte* data = nullptr;
  std::size_t read = 0;
  ReceiveBuffer* next = nullptr;
};

class Port final : public ConsolePort {
 public:
  void init(Console& console, std::uint32_t id, Virtqueue& receive, Virtqueue& transmit);
  void set_name(std::string_view name);
  [[nodiscard]] std::string_view name() const { return {name_.data(), name_length_}; }
  [[nodiscard]] bool announced() const { return announced_.load(); }
  void announce() { announced_.store(true); }
  /// Posts the receive buffers and tells the host, the first time.
  void open();

  std::size_t write(const void* data, std::size_t size, Interruptible interruptible) override;
  /// Waits until the host has taken what it was handed.
  void drain() {
    const HostWait waiting;
    wait_until(writers_, [this] { return !transmission_.busy.load(); }, Interruptible::kNo);
  }
  std::size_t read_some(void* to, std::size_t size) override;
  [[nodiscard]] bool readable() const override { return __atomic_load_n(&first_, __ATOMIC_ACQUIRE) != nullptr; }

 private:
  /// What is under way to the host. The buffer is its maker's from claim() until it is posted.
  struct Transmission : VirtioRequest {
    Port* port = nullptr;
    std::unique_ptr<std::byte[]> data;  ///< kWriteChunk bytes, made for the first write
    std::atomic<bool> busy{false};
    std::atomic<std::uint32_t> finished_count{0};
  };

  /// Waits until the buffer is free and takes it. False: interrupted.
  bool claim(Interruptible interruptible);
  void send(std::size_t size);
  void post(ReceiveBuffer& buffer);
  void received(ReceiveBuffer& buffer);
  ReceiveBuffer* first() {
    const Guard guard(list_lock_);
    return first_;
  }
  void remove_first();

  Console* console_ = nullptr;
  std::uint32_t id_ = 0;
  Virtqueue* receive_ = nullptr;
  Virtqueue* transmit_ = nullptr;
  std::array<char, 64> name_{};
  std::size_t name_length_ = 0;
  std::atomic<bool> announced_{false};
  Mutex read_mutex_;
  Transmission transmission_;
  WaitQueue writers_;
  bool open_ = false;
  IrqSpinLock list_lock_;
  ReceiveBuffer *first_ = nullptr, *last_ = nullptr;
  std::array<ReceiveBuffer, kReceiveBuffers> buffers_;
};

/// A message in the control receive queue.
struct ControlBuffer : VirtioRequest {
  Console* console = nullptr;
  alignas(8) std::array<char, 128> data{};
};
/// One that is sent; freed when the device has it.
struct ControlMessage : VirtioRequest {
  virtio_console_control message{};
  std::atomic<bool> busy{false};
};

class Console {
 public:
  explicit Console(VirtioMmio& slot) : slot_(slot) {}
  bool start();
  void send(std::uint32_t id, std::uint16_t event, std::uint16_t value);
  Port* find(std::string_view name);
  void drain() {
    for (Port& port : ports_) port.drain();
  }

 private:
  void post(ControlBuffer& buffer);
  void on_control(ControlBuffer& buffer);
  [[nodiscard]] bool all_named() const;

  // Virtio 1.2, 5.3.2: port 0, then control, then the other ports; receive before transmit.
  static std::uint16_t receive_queue_of(std::uint32_t port) {
    return static_cast<std::uint16_t>(port == 0 ? 0 : 2 * port + 2);
  }
  static constexpr std::uint16_t kControlReceive = 2, kControlTransmit = 3;

  VirtioMmio& slot_;
  std::uint32_t port_count_ = 0;
  std::array<Virtqueue, 2 * kMaxPorts + 2> queues_;
  std::array<Port, kMaxPorts> ports_;
  std::array<ControlBuffer, kControlBuffers> control_buffers_;
  std::array<ControlMessage, kControlBuffers> control_messages_;
  WaitQueue named_;
};

Console* console = nullptr;

void Port::init(Console& owner, std::uint32_t id, Virtqueue& receive, Virtqueue& transmit) {
  console_ = &owner;
  id_ = id;
  receive_ = &receive;
  transmit_ = &transmit;
  transmission_.port = this;
  transmission_.finished = [](VirtioRequest& request) {
    auto& self = static_cast<Transmission&>(request);
    self.finished_count.fetch_add(1);
    self.busy.store(false);
    self.port->writers_.wake_all();
  };
}

void Port::set_name(std::string_view name) {
  name_length_ = std::min(name.size(), name_.size());
  std::copy_n(name.data(), name_length_, name_.data());
}

void Port::open() {
  const Guard guard(read_mutex_);
  if (open_) return;
  open_ = true;
  for (ReceiveBuffer& buffer : buffers_) {
    buffer.port = this;
    buffer.data = allocate_frame();
    QUIRE_ASSERT(buffer.data != nullptr, "memory for a port's buffers");
    buffer.finished = [](VirtioRequest& request) {
      auto& self = static_cast<ReceiveBuffer&>(request);
      self.port->received(self);
    };
    post(buffer);
  }
  console_->send(id_, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

void Port::post(ReceiveBuffer& buffer) {
  const std::array buffers{VirtioBuffer{buffer.data, kPageSize, Direction::kFromDevice}};
  [[maybe_unused]] const bool added = receive_->add(buffers, buffer);
  QUIRE_ASSERT(added, "the ring has room for a port's buffers");
}

void Port::received(ReceiveBuffer& buffer) {
  buffer.read = 0;
  buffer.next = nullptr;
  {
    const Guard guard(list_lock_);
    (first_ == nullptr ? first_ : last_->next) = &buffer;
    last_ = &buffer;
  }
  readers.wake_all();
}

void Port::remove_first() {
  const Guard guard(list_lock_);
  first_ = first_->next;
}

std::size_t Port::read_some(void* to, std::size_t size) {
  const Guard guard(read_mutex_);
  auto* out = static_cast<std::byte*>(to);
  std::size_t total = 0;
  while (total < size) {
    ReceiveBuffer* const buffer = first();
    if (buffer == nullptr) break;
    const std::size_t n = std::min(size - total, buffer->length - buffer->read);
    std::memcpy(out + total, buffer->data + buffer->read, n);
    total += n;
    buffer->read += n;
    if (buffer->read < buffer->length) break;
    remove_first();
    post(*buffer);
  }
  return total;
}

bool Port::claim(Interruptible interruptible) {
  const HostWait waiting;
  return wait_until(writers_, [this] { return !transmission_.busy.exchange(true); }, interruptible) == WaitResult::kDone;
}

void Port::send(std::size_t size) {
  const std::array buffers{VirtioBuffer{transmission_.data.get(), size, Direction::kToDevice}};
  [[maybe_unused]] const bool added = transmit_->add(buffers, transmission_);
  QUIRE_ASSERT(added, "the ring has room for the one buffer that is under way");
}

std::size_t Port::write(const void* data, std::size_t size, Interruptible interruptible) {
  std::size_t done = 0;
  while (done < size) {
    if (!claim(interruptible)) break;
    if (!transmission_.data) transmission_.data = std::make_unique_for_overwrite<std::byte[]>(kWriteChunk);
    const std::size_t n = std::min(size - done, kWriteChunk);
    std::memcpy(transmission_.data.get(), static_cast<const std::byte*>(data) + done, n);
    const std::uint32_t mine = transmission_.finished_count.load();
    send(n);
    done += n;
    const HostWait waiting;
    const auto sent = [this, mine] { return transmission_.finished_count.load() != mine; };
    if (wait_until(writers_, sent, interruptible) != WaitResult::kDone) break;
  }
  return done;
}

bool Console::start() {
  if (!slot_.negotiate(std::uint64_t{1} << VIRTIO_CONSOLE_F_MULTIPORT)) return false;
  port_count_ = std::min<std::uint32_t>(slot_.config32(offsetof(virtio_console_config, max_nr_ports)), kMaxPorts);
  slot_.set_up(queues_[kControlReceive], kControlReceive);
  slot_.set_up(queues_[kControlTransmit], kControlTransmit);
  for (std::uint32_t id = 0; id < port_count_; ++id) {
    const std::uint16_t receive = receive_queue_of(id);
    slot_.set_up(queues_[receive], receive);
    slot_.set_up(queues_[receive + 1U], static_cast<std::uint16_t>(receive + 1));
    ports_[id].init(*this, id, queues_[receive], queues_[receive + 1U]);
  }
  slot_.begin(queues_);
  for (ControlBuffer& buffer : control_buffers_) {
    buffer.console = this;
    buffer.finished = [](VirtioRequest& request) {
      auto& self = static_cast<ControlBuffer&>(request);
      self.console->on_control(self);
    };
    post(buffer);
  }
  send(kNoPort, VIRTIO_CONSOLE_DEVICE_READY, 1);
  constexpr std::uint64_t kPatienceNs = 1'000'000'000;
  const HostWait waiting;
  wait_until(named_, [this] { return all_named(); }, Interruptible::kNo, monotonic_ns() + kPatienceNs);
  return true;
}

void Console::send(std::uint32_t id, std::uint16_t event, std::uint16_t value) {
  for (ControlMessage& message : control_messages_) {
    if (message.busy.exchange(true)) continue;
    message.message = {.id = id, .event = event, .value = value};
    message.finished = [](VirtioRequest& request) { static_cast<ControlMessage&>(request).busy.store(false); };
    const std::array buffers{VirtioBuffer{&message.message, sizeof message.message, Direction::kToDevice}};
    if (queues_[kControlTransmit].add(buffers, message)) return;
    message.busy.store(false);
    break;
  }
  log(LogLevel::kInfo, "console: control message {} for port {} is lost", event, id);
}

void Console::post(ControlBuffer& buffer) {
  const std::array buffers{VirtioBuffer{buffer.data.data(), buffer.data.size(), Direction::kFromDevice}};
  [[maybe_unused]] const bool added = queues_[kControlReceive].add(buffers, buffer);
  QUIRE_ASSERT(added, "the ring has room for the control buffers");
}

void Console::on_control(ControlBuffer& buffer) {
  virtio_console_control control{};
  if (buffer.length >= sizeof control) std::memcpy(&control, buffer.data.data(), sizeof control);
  if (control.id < port_count_) {
    Port& port = ports_[control.id];
    if (control.event == VIRTIO_CONSOLE_PORT_ADD) {
      port.announce();
      send(control.id, VIRTIO_CONSOLE_PORT_READY, 1);
    } else if (control.event == VIRTIO_CONSOLE_PORT_NAME) {
      const std::string_view name(buffer.data.data() + sizeof control, buffer.length - sizeof control);
      port.set_name(name.substr(0, name.find('\0')));
      named_.wake_all();
    }
  }
  post(buffer);
}

bool Console::all_named() const {
  const auto is_named = [](const Port& port) { return !port.announced() || !port.name().empty(); };
  return std::any_of(ports_.begin(), ports_.end(), [](const Port& port) { return port.announced(); }) &&
         std::all_of(ports_.begin(), ports_.end(), is_named);
}

Port* Console::find(std::string_view name) {
  const auto port = std::find_if(ports_.begin(), ports_.end(), [&](const Port& p) { return p.name() == name; });
  return port == ports_.end() ? nullptr : &*port;
}

}  // namespace

bool start_console(VirtioMmio& slot) {
  auto made = std::make_unique<Console>(slot);
  if (!made->start()) return false;
  console = made.release();
  return true;
}

void drain_console_ports() {
  if (console != nullptr) console->drain();
}

ConsolePort* console_port(std::string_view name) {
  if (console == nullptr || name.empty()) return nullptr;
  Port* const port = console->find(name);
  if (port != nullptr) port->open();
  return port;
}

}  // namespace quire::kernel
