// TCP and UDP within the machine: man7 ip(7), tcp(7), udp(7), ipv6(7). The only interface is the loopback; all other addresses are out of
// reach (ENETUNREACH).
#include <linux/poll.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "net/datagram_socket.h"
#include "net/inet_options.h"
#include "net/inet_ports.h"
#include "net/stream_socket.h"

namespace quire::kernel {

namespace {

/// Connections beyond the backlog that a client that does not wait may have made: TCP's handshake needs no program.
constexpr std::size_t kHandshakesAhead = 128;
constexpr std::size_t kLargestUdp = 65507;

/// Options and names that TCP and UDP share.
class InetCommon {
 public:
  InetCommon(Socket& socket) : socket_(socket), binding(socket, true) {}

  /// Where a packet for `raw` goes: the wildcard is this machine. Errors: EINVAL, EAFNOSUPPORT, ENETUNREACH.
  Result<InetAddress> destination(const RawAddress& raw) const {
    QUIRE_TRY(InetAddress to, InetAddress::from(raw, socket_.domain));
    if (to.is_any()) to.ip = InetAddress::loopback(to.is_v4() ? AF_INET : AF_INET6, 0).ip;
    if (!to.is_here()) return fail(kNetworkUnreachable);
    if (to.is_v4() && socket_.domain == AF_INET6 && binding.only_v6()) return fail(kNetworkUnreachable);
    return to;
  }
  /// From where such a packet comes.
  [[nodiscard]] InetAddress source_for(const InetAddress& to) const {
    InetAddress source = binding.local();
    if (source.is_any()) source.ip = InetAddress::loopback(to.is_v4() ? AF_INET : AF_INET6, 0).ip;
    return source;
  }
  Result<void> bind(const RawAddress& raw) {
    QUIRE_TRY(const InetAddress local, InetAddress::from(raw, socket_.domain));
    return binding.bind(local);
  }
  Result<void> set_option(int level, int name, std::span<const std::byte> value) {
    int number = 0;
    if (value.size() >= sizeof number) {
      std::memcpy(&number, value.data(), sizeof number);
    } else if (level == IPPROTO_IP && !value.empty()) {
      number = static_cast<int>(value[0]);  // IP takes a byte, too
    } else {
      return fail(Errno::kInval);
    }
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && socket_.domain == AF_INET6) return binding.set_only_v6(number != 0);
    return kept.set(socket_, level, name, number);
  }
  Result<void> get_option(int level, int name, OptionValue& value) const {
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && socket_.domain == AF_INET6) {
      value.set<int>(binding.only_v6() ? 1 : 0);
      return {};
    }
    QUIRE_TRY(const int number, kept.get(socket_, level, name));
    value.set<int>(number);
    return {};
  }

 private:
  Socket& socket_;

 public:
  InetBinding binding;
  InetOptions kept;
};

class TcpSocket final : public StreamSocket {
 public:
  TcpSocket(int its_domain, std::uint32_t file_flags)
      : StreamSocket(Style::kTcp, its_domain, SOCK_STREAM, IPPROTO_TCP, file_flags), inet_(*this) {}

  Result<void> bind(const RawAddress& address) override { return inet_.bind(address); }
  RawAddress name() override { return inet_.binding.local().to_raw(domain); }
  Result<RawAddress> peer_name() override {
    if (state() != State::kConnected) return fail(kNotConnected);
    return inet_.binding.remote().to_raw(domain);
  }

  /// Made without waiting, a connection is there at once, but is told of as Linux tells of one under way: EINPROGRESS, then success.
  Result<void> connect(const RawAddress& address) override {
    if (is_told_later_.exchange(false)) {
      const Errno error = take_error();
      if (error != kNoError) return fail(error);
      if (state() == State::kConnected) return {};
    }
    if (address.family() == AF_UNSPEC) return fail(Errno::kOpNotSupp);
    QUIRE_TRY(const InetAddress to, inet_.destination(address));
    QUIRE_CHECK(begin_connect());
    const auto connected = connect_to_address(to);
    if (!connected) end_connect(State::kNew);
    if (!nonblocking() || (!connected && connected.error() != kConnectionRefused)) return connected;
    if (!connected) {
      const Guard guard(own->lock);
      own->error = connected.error();
    }
    is_told_later_ = true;
    own->wait.wake_all();
    return fail(Errno::kInProgress);
  }

  Result<void> set_option(int level, int name, std::span<const std::byte> value) override {
    return level == SOL_SOCKET ? Socket::set_option(level, name, value) : inet_.set_option(level, name, value);
  }
  Result<void> get_option(int level, int name, OptionValue& value) override {
    return level == SOL_SOCKET ? Socket::get_option(level, name, value) : inet_.get_option(level, name, value);
  }

 protected:
  [[nodiscard]] RefPtr<StreamSocket> make_server_end(StreamSocket& client) override {
    auto end = make_ref<TcpSocket>(domain, 0U);
    const InetCommon& other = static_cast<TcpSocket&>(client).inet_;
    end->inet_.binding.adopt(other.binding.remote(), other.binding.local());
    end->inet_.kept.copy_from(inet_.kept);
    end->options.reuse_address = options.reuse_address.load();
    end->options.reuse_port = options.reuse_port.load();
    end->options.keep_alive = options.keep_alive.load();
    end->options.linger_on = options.linger_on.load();
    end->options.linger_seconds = options.linger_seconds.load();
    end->options.send_buffer = options.send_buffer.load();
    end->options.receive_buffer = options.receive_buffer.load();
    end->options.receive_low = options.receive_low.load();
    return end;
  }
  [[nodiscard]] Result<void> prepare_listen() override {
    QUIRE_CHECK(inet_.binding.bind_to_any());
    return inet_.binding.begin_listening();
  }
  // Only unix sockets know their peers.
  [[nodiscard]] SocketCredentials peer_credentials() override { return Socket::peer_credentials(); }

 private:
  Result<void> connect_to_address(const InetAddress& to) {
    QUIRE_CHECK(inet_.binding.bind_to_any());
    inet_.binding.set_remote(to, inet_.source_for(to));
    const RefPtr<Socket> listener = InetBinding::find_listener(to);
    const auto connected = listener ? connect_to(static_cast<TcpSocket&>(*listener), kHandshakesAhead) : fail(kConnectionRefused);
    if (!connected) inet_.binding.clear_remote();
    return connected;
  }

  InetCommon inet_;
  std::atomic<bool> is_told_later_{false};
};

/// UDP and UDP-Lite, whose checksums nobody computes here.
class UdpSocket final : public DatagramSocket {
 public:
  UdpSocket(int its_domain, int its_protocol, std::uint32_t file_flags)
      : DatagramSocket(its_domain, SOCK_DGRAM, its_protocol, file_flags), inet_(*this) {}

  Result<void> bind(const RawAddress& address) override { return inet_.bind(address); }
  RawAddress name() override { return inet_.binding.local().to_raw(domain); }
  Result<RawAddress> peer_name() override {
    if (!inet_.binding.has_remote()) return fail(kNotConnected);
    return inet_.binding.remote().to_raw(domain);
  }
  Result<void> connect(const RawAddress& address) override {
    if (address.family() == AF_UNSPEC && address.size >= sizeof(std::uint16_t)) {
      inet_.binding.clear_remote();
      return {};
    }
    QUIRE_TRY(const InetAddress to, inet_.destination(address));
    QUIRE_CHECK(inet_.binding.bind_to_any());
    inet_.binding.set_remote(to, inet_.source_for(to));
    return {};
  }

  Result<std::size_t> send(OutgoingMessage& message) override {
    if ((message.flags & MSG_OOB) != 0) return fail(Errno::kOpNotSupp);
    const std::size_t size = message.data.size();
    if (size > kLargestUdp) return fail(kMessageTooLong);
    const bool named = message.to.size != 0, connected = inet_.binding.has_remote();
    if (!named && !connected) return fail(kDestinationRequired);
    InetAddress to = inet_.binding.remote();
    if (named) {
      QUIRE_TRY(to, inet_.destination(message.to));
    }
    if (to.port == 0) return fail(Errno::kInval);
    if (const Errno error = take_error(); error != kNoError) return fail(error);
    if (write_shut_.load()) return broken_pipe(message.flags);
    QUIRE_CHECK(inet_.binding.bind_to_any());
    const InetAddress from = inet_.source_for(to);
    const RefPtr<Socket> receiver = InetBinding::find_receiver(protocol, to, from);
    if (!receiver) return refused(connected, size);
    const RawAddress sender = from.to_raw(receiver->domain);
    if (to.is_v4() == (receiver->domain == AF_INET)) complete_header(to, message.ancillary.header);
    {
      ReceiveQueue& queue = *receiver->own;
      const Guard guard(queue.lock);
      // Who has no room, or reads no more, loses it.
      const auto limit = static_cast<std::size_t>(receiver->options.receive_buffer.load());
      if (queue.reader_gone || queue.bytes_locked() + size + queue.packets_locked() * kOverhead > limit) return size;
      QUIRE_CHECK(queue.append_packet_locked(message.data, message.ancillary, &sender, nullptr));
    }
    receiver->own->wait.wake_all(POLLIN | POLLRDNORM);
    return size;
  }

  Result<void> set_option(int level, int name, std::span<const std::byte> value) override {
    return level == SOL_SOCKET ? Socket::set_option(level, name, value) : inet_.set_option(level, name, value);
  }
  Result<void> get_option(int level, int name, OptionValue& value) override {
    return level == SOL_SOCKET ? Socket::get_option(level, name, value) : inet_.get_option(level, name, value);
  }

  [[nodiscard]] HeaderMessages header_messages() const override {
    const auto type_if = [&](int level, int option, int told_as) { return inet_.kept.value(*this, level, option) != 0 ? told_as : 0; };
    if (domain == AF_INET) return {IPPROTO_IP, type_if(IPPROTO_IP, IP_RECVTTL, IP_TTL), type_if(IPPROTO_IP, IP_RECVTOS, IP_TOS)};
    return {IPPROTO_IPV6, type_if(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT), type_if(IPPROTO_IPV6, IPV6_RECVTCLASS, IPV6_TCLASS)};
  }

 protected:
  [[nodiscard]] bool may_shut_down() override { return inet_.binding.has_remote(); }

 private:
  static constexpr std::size_t kOverhead = 512;  ///< what a packet costs beside its bytes

  /// Fills in what the message left to the options.
  void complete_header(const InetAddress& to, HeaderFields& header) const {
    const int level = to.is_v4() ? IPPROTO_IP : IPPROTO_IPV6;
    if (header.hop_limit < 0) header.hop_limit = inet_.kept.value(*this, level, to.is_v4() ? IP_TTL : IPV6_UNICAST_HOPS);
    if (header.traffic_class < 0) header.traffic_class = inet_.kept.value(*this, level, to.is_v4() ? IP_TOS : IPV6_TCLASS);
  }

  /// Nobody is there: a connected socket hears of it afterwards, as by ICMP.
  std::size_t refused(bool connected, std::size_t size) {
    if (connected) {
      {
        const Guard guard(own->lock);
        own->error = kConnectionRefused;
      }
      own->wait.wake_all(POLLERR);
    }
    return size;
  }

  InetCommon inet_;
};

}  // namespace

Result<RefPtr<Socket>> make_inet_socket(int domain, int type, int protocol, std::uint32_t file_flags) {
  switch (type) {
    case SOCK_STREAM:
      if (protocol != 0 && protocol != IPPROTO_TCP) return fail(kNoSuchProtocol);
      return RefPtr<Socket>(make_ref<TcpSocket>(domain, file_flags));
    case SOCK_DGRAM:
      if (protocol != 0 && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE) return fail(kNoSuchProtocol);
      return RefPtr<Socket>(make_ref<UdpSocket>(domain, protocol == 0 ? IPPROTO_UDP : protocol, file_flags));
    case SOCK_RAW:
      if (protocol == 0) return fail(kNoSuchProtocol);
      return fail(Errno::kPerm);
    default:
      return fail(kNoSuchSocketType);
  }
}

}  // namespace quire::kernel
