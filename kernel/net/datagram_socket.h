// Sockets without connections: unix datagrams and UDP. What has come waits in the receiver's queue; the families find the receiver.
#pragma once

#include "net/socket.h"

namespace quire::kernel {

class DatagramSocket : public Socket {
 public:
  using Socket::Socket;
  Result<std::size_t> receive(IncomingMessage& message) override;
  Result<void> shutdown(int how) override;
  PollMask poll(Listener* listener) override;

 protected:
  ~DatagramSocket() override;
  [[nodiscard]] std::size_t readable_bytes_locked() override { return own->first_packet_size_locked(); }
  /// Whether shutdown(2) needs a peer.
  [[nodiscard]] virtual bool may_shut_down() { return true; }
  /// Whether a send would not wait.
  [[nodiscard]] virtual bool has_room() { return true; }
  std::atomic<bool> write_shut_{false};
};

}  // namespace quire::kernel
