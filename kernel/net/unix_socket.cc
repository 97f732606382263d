// Unix sockets: man7 unix(7); Linux v6.12 net/unix/af_unix.c.
#include <linux/poll.h>

#include <algorithm>

#include "net/datagram_socket.h"
#include "net/stream_socket.h"
#include "net/unix_names.h"
#include "syscall/syscall.h"

namespace quire::kernel {

namespace {

/// Streams and sequential packets.
class UnixStream final : public StreamSocket {
 public:
  UnixStream(int its_type, std::uint32_t file_flags) : StreamSocket(Style::kUnix, AF_UNIX, its_type, 0, file_flags), binding_(*this) {}

  Result<void> bind(const RawAddress& address) override { return binding_.bind(address); }
  RawAddress name() override { return binding_.name(); }
  Result<void> connect(const RawAddress& address) override {
    QUIRE_CHECK(check_unix_address(address));
    QUIRE_CHECK(begin_connect());
    const auto connected = find_and_connect(address);
    if (!connected) end_connect(State::kNew);
    return connected;
  }

 protected:
  [[nodiscard]] RefPtr<StreamSocket> make_server_end(StreamSocket&) override {
    auto end = make_ref<UnixStream>(type, 0U);
    end->binding_.borrow(binding_);
    end->options.pass_credentials = options.pass_credentials.load();
    return end;
  }
  [[nodiscard]] Result<void> prepare_listen() override {
    if (!binding_.is_bound()) return fail(Errno::kInval);
    return {};
  }

 private:
  Result<void> find_and_connect(const RawAddress& address) {
    if (options.pass_credentials) QUIRE_CHECK(binding_.bind_to_any());
    QUIRE_TRY(const RefPtr<Socket> listener, find_unix_socket(address, type));
    return connect_to(static_cast<UnixStream&>(*listener), 0);
  }

  UnixBinding binding_;
};

class UnixDatagram final : public DatagramSocket {
 public:
  explicit UnixDatagram(std::uint32_t file_flags) : DatagramSocket(AF_UNIX, SOCK_DGRAM, 0, file_flags), binding_(*this) {}

  Result<void> bind(const RawAddress& address) override { return binding_.bind(address); }
  RawAddress name() override { return binding_.name(); }

  Result<void> connect(const RawAddress& address) override {
    if (address.size < sizeof(std::uint16_t)) return fail(Errno::kInval);
    if (address.family() == AF_UNSPEC) {
      set_peer(nullptr, {});
      return {};
    }
    QUIRE_CHECK(check_unix_address(address));
    if (options.pass_credentials) QUIRE_CHECK(binding_.bind_to_any());
    QUIRE_TRY(const RefPtr<Socket> other, find_unix_socket(address, type));
    {
      const Guard guard(other->own->lock);
      if (!accepts_from_us_locked(*other->own)) return fail(Errno::kPerm);
    }
    set_peer(other->own, other->name());
    return {};
  }

  Result<void> pair_with(Socket& other) override {
    auto& second = static_cast<UnixDatagram&>(other);
    set_peer(second.own, second.name());
    second.set_peer(own, name());
    return {};
  }

  Result<RawAddress> peer_name() override {
    const Guard guard(peer_lock_);
    if (!peer_) return fail(kNotConnected);
    return peer_address_;
  }

  Result<std::size_t> send(OutgoingMessage& message) override {
    if ((message.flags & MSG_OOB) != 0) return fail(Errno::kOpNotSupp);
    if (options.pass_credentials) QUIRE_CHECK(binding_.bind_to_any());
    const bool named = message.to.size != 0;
    if (named) QUIRE_CHECK(check_unix_address(message.to));
    const std::size_t size = message.data.size();
    if (size > static_cast<std::size_t>(options.send_buffer.load()) - kOverhead) return fail(kMessageTooLong);
    if (write_shut_.load()) return broken_pipe(message.flags);
    RefPtr<ReceiveQueue> to = peer();
    if (named) {
      QUIRE_TRY(const RefPtr<Socket> other, find_unix_socket(message.to, type));
      to = other->own;
    }
    if (!to) return fail(kNotConnected);
    const RawAddress from = name();
    const RawAddress* const sender = binding_.is_bound() ? &from : nullptr;
    const auto step = [&]() -> Result<bool> {
      const Guard guard(to->lock);
      if (to->closed) return fail(kConnectionRefused);
      if (to->reader_gone) return fail(Errno::kPipe);
      if (!accepts_from_us_locked(*to)) return fail(Errno::kPerm);
      if (to->packets_locked() > kMostPackets) return false;
      QUIRE_CHECK(to->append_packet_locked(message.data, message.ancillary, sender, own));
      return true;
    };
    const auto sent = wait_for(to->wait, must_not_wait(message.flags), options.send_timeout.load(), step);
    if (!sent) {
      if (sent.error() == kConnectionRefused && to == peer()) set_peer(nullptr, {});
      if (sent.error() == Errno::kPipe) return broken_pipe(message.flags);
      return fail(sent.error());
    }
    to->wait.wake_all(POLLIN | POLLRDNORM);
    return size;
  }

 protected:
  ~UnixDatagram() override { set_peer(nullptr, {}); }
  [[nodiscard]] bool has_room() override {
    const RefPtr<ReceiveQueue> to = peer();
    if (!to) return true;
    const Guard guard(to->lock);
    return to->packets_locked() <= kMostPackets;
  }

 private:
  static constexpr std::size_t kOverhead = 32;  // Linux v6.12 net/unix/af_unix.c:unix_dgram_sendmsg()
  static constexpr std::size_t kMostPackets = 10;  // /proc/sys/net/unix/max_dgram_qlen

  [[nodiscard]] RefPtr<ReceiveQueue> peer() {
    const Guard guard(peer_lock_);
    return peer_;
  }
  void set_peer(RefPtr<ReceiveQueue> to, const RawAddress& address) {
    {
      const Guard guard(own->lock);
      own->only_from = to.get();
    }
    const Guard guard(peer_lock_);
    std::swap(peer_, to);
    peer_address_ = address;
  }
  /// Who is connected hears its peer alone.
  [[nodiscard]] bool accepts_from_us_locked(const ReceiveQueue& to) const { return to.only_from == nullptr || to.only_from == own.get(); }

  UnixBinding binding_;
  Mutex peer_lock_;
  RefPtr<ReceiveQueue> peer_;
  RawAddress peer_address_;
};

}  // namespace

Result<RefPtr<Socket>> make_unix_socket(int type, int protocol, std::uint32_t file_flags) {
  if (protocol != 0 && protocol != AF_UNIX) return fail(kNoSuchProtocol);
  switch (type) {
    case SOCK_STREAM:
    case SOCK_SEQPACKET:
      return RefPtr<Socket>(make_ref<UnixStream>(type, file_flags));
    case SOCK_DGRAM:
    case SOCK_RAW:  // as Linux
      return RefPtr<Socket>(make_ref<UnixDatagram>(file_flags));
    default:
      return fail(kNoSuchSocketType);
  }
}

}  // namespace quire::kernel
