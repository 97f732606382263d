// Named virtio-serial ports to the command.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sched/wait.h"

namespace quire::kernel {

/// One port. All calls may sleep.
class ConsolePort {
 public:
  virtual ~ConsolePort() = default;
  /// Hands bytes to the host and waits until it has taken them. Returns how many were handed over: all, unless the wait may be interrupted
  /// and a signal came. What is handed over is the port's to keep: the host gets it, whatever becomes of the caller.
  virtual std::size_t write(const void* data, std::size_t size, Interruptible interruptible = Interruptible::kNo) = 0;
  /// Bytes that have come, up to `size`; 0 if none are there now.
  virtual std::size_t read_some(void* to, std::size_t size) = 0;
  /// Whether read_some() would return bytes now; woken on `readers` when that changes.
  [[nodiscard]] virtual bool readable() const = 0;
  WaitQueue readers;
};
/// The port of that name ("quire.stdin" …), or null.
ConsolePort* console_port(std::string_view name);
/// Waits until the host has taken all that any port was handed.
void drain_console_ports();

/// A 9p request, room for its reply, and how much of that was used.
struct NinePExchange {
  const void* request;
  std::size_t size;
  void* reply;
  std::size_t reply_size;
  std::size_t result = 0;
};

/// A 9p transport: one request at a time per tag; sleeps until the reply is there. Returns the reply's size, at most `reply_size`.
class NinePTransport {
 public:
  virtual ~NinePTransport() = default;
  virtual std::size_t exchange(const void* request, std::size_t size, void* reply, std::size_t reply_size) = 0;
  /// Several requests, of different tags, under way at the same time. Returns when all replies are there. At most kMaxExchanges.
  static constexpr std::size_t kMaxExchanges = 8;
  virtual void exchange_all(std::span<NinePExchange> exchanges) {
    for (NinePExchange& e : exchanges) e.result = exchange(e.request, e.size, e.reply, e.reply_size);
  }
};
/// The 9p device with that mount tag, or null.
NinePTransport* nine_p_transport(std::string_view tag);

/// Random bytes (virtio-rng and RDRAND mixed into a ChaCha20 generator; from the launch record's seed if there is one).
void random_bytes(void* to, std::size_t size);

}  // namespace quire::kernel
