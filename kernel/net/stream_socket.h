// Sockets with connections: unix streams and sequential packets, TCP. A connection is two ReceiveQueues, each the owner's of one end;
// each end writes to the other's. What the families add is names, and the few rules of `style_` (what a closed peer means to a writer).
//
// Locks: `state_lock_` over state, peer and pending connections; never held while waiting, nor two of them, but for a listener's by
// nobody who holds another. A ReceiveQueue's lock may be taken inside it.
#pragma once

#include "net/socket.h"

namespace quire::kernel {

class StreamSocket : public Socket {
 public:
  enum class Style : std::uint8_t { kUnix, kTcp };
  enum class State : std::uint8_t { kNew, kConnecting, kListening, kConnected, kClosed };

  StreamSocket(Style style, int domain, int type, int protocol, std::uint32_t file_flags);

  Result<void> listen(int backlog) override;
  Result<RefPtr<Socket>> accept(std::uint32_t file_flags, RawAddress& peer) override;
  Result<void> shutdown(int how) override;
  Result<RawAddress> peer_name() override;
  Result<std::size_t> send(OutgoingMessage& message) override;
  Result<std::size_t> receive(IncomingMessage& message) override;
  Result<void> pair_with(Socket& other) override;
  PollMask poll(Listener* listener) override;
  void on_close() override;

 protected:
  ~StreamSocket() override;

  /// A socket of the same class for this end of a connection that `client` makes.
  [[nodiscard]] virtual RefPtr<StreamSocket> make_server_end(StreamSocket& client) = 0;
  /// Sees to it that it has a name (listen). Errors: EINVAL.
  [[nodiscard]] virtual Result<void> prepare_listen() = 0;
  /// Connects to a listening socket. `may_overflow`: one that does not wait may pass the backlog (TCP's handshake is done without the
  /// program). Errors: ECONNREFUSED, EISCONN, EINVAL, EALREADY, EAGAIN.
  Result<void> connect_to(StreamSocket& listener, std::size_t may_overflow);
  /// Fails if this is not the time to connect. Errors: EISCONN, EALREADY, EINVAL.
  Result<void> begin_connect();
  void end_connect(State to);

  [[nodiscard]] bool is_listening() override;
  [[nodiscard]] std::size_t unsent_bytes() override;
  [[nodiscard]] SocketCredentials peer_credentials() override;
  [[nodiscard]] std::vector<std::uint32_t> peer_groups() override;
  [[nodiscard]] RefPtr<ReceiveQueue> peer();
  [[nodiscard]] State state();

  const Style style_;

 private:
  /// Who made an end: the creator of a socket at connect, listen or socketpair.
  struct Owner {
    SocketCredentials credentials;
    std::vector<std::uint32_t> groups;
    static Owner of_current();
  };
  /// Ties this new socket to a queue. Nobody else knows it yet.
  void attach(RefPtr<ReceiveQueue> to, const RawAddress& peer_address, const Owner& owner);
  /// One try to send a packet, or some of a stream. Nothing was if `no_room`.
  Result<std::size_t> send_once(ReceiveQueue& to, OutgoingMessage& message, bool& no_room);
  Result<bool> at_end_locked();
  /// The connection that `end` is one end of is reset. Locks: none.
  void reset(ReceiveQueue& end) const;
  /// Bytes that may be under way.
  [[nodiscard]] std::size_t capacity() const;
  Result<std::size_t> receive_stream(IncomingMessage& message, ReceiveQueue& from);
  Result<std::size_t> receive_record(IncomingMessage& message, ReceiveQueue& from);

  static constexpr int kTcpSendBuffer = 16384, kTcpReceiveBuffer = 131072;
  Mutex state_lock_;
  State state_ = State::kNew;
  RefPtr<ReceiveQueue> peer_;
  RawAddress peer_address_;
  Owner own_side_, peer_side_;
  std::size_t backlog_ = 0;
  std::deque<RefPtr<StreamSocket>> pending_;
  std::atomic<bool> write_shut_{false};
};

}  // namespace quire::kernel
