// Netlink sockets: man7 netlink(7), rtnetlink(7). NETLINK_ROUTE answers what the C library asks: which interfaces there are (RTM_GETLINK)
// and which addresses (RTM_GETADDR), as dumps. Other requests are answered with the error EOPNOTSUPP; there are no groups to join.
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include <linux/poll.h>

#include "net/datagram_socket.h"
#include "net/interfaces.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kLargestRequest = 4096, kEthernetAddress = 6;

/// A packet of messages, put together piece by piece.
class Reply {
 public:
  Reply(const nlmsghdr& request, std::uint32_t port) : sequence_(request.nlmsg_seq), port_(port) {}

  template <typename Body>
  void begin(std::uint16_t type, std::uint16_t flags, const Body& body) {
    begin_ = bytes_.size();
    append(nlmsghdr{.nlmsg_len = 0, .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = sequence_, .nlmsg_pid = port_});
    append(body);
    finish();
  }
  void attribute(std::uint16_t type, const void* data, std::size_t size) {
    append(rtattr{.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(size)), .rta_type = type});
    append_bytes(data, size);
    finish();
  }
  template <typename T>
  void attribute(std::uint16_t type, const T& value) {
    attribute(type, &value, sizeof value);
  }
  [[nodiscard]] IoBuffer buffer() { return IoBuffer::kernel(bytes_.data(), bytes_.size()); }

 private:
  template <typename T>
  void append(const T& value) {
    append_bytes(&value, sizeof value);
  }
  void append_bytes(const void* data, std::size_t size) {
    const auto* const from = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  /// Sets the length of the message begun last.
  void finish() {
    const auto length = static_cast<std::uint32_t>(bytes_.size() - begin_);
    std::memcpy(bytes_.data() + begin_, &length, sizeof length);
  }

  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;
  const std::uint32_t sequence_, port_;
};

void tell_links(Reply& reply) {
  reply.begin(RTM_NEWLINK, NLM_F_MULTI,
              ifinfomsg{.ifi_family = AF_UNSPEC,
                        .__ifi_pad = 0,
                        .ifi_type = ARPHRD_LOOPBACK,
                        .ifi_index = kLoopbackIndex,
                        .ifi_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_LOWER_UP,
                        .ifi_change = 0});
  constexpr std::array<std::uint8_t, kEthernetAddress> kNoAddress{};
  reply.attribute(IFLA_IFNAME, kLoopbackName);
  reply.attribute(IFLA_TXQLEN, kLoopbackQueue);
  reply.attribute(IFLA_MTU, kLoopbackMtu);
  reply.attribute(IFLA_ADDRESS, kNoAddress);
  reply.attribute(IFLA_BROADCAST, kNoAddress);
}

void tell_address(Reply& reply, std::uint8_t family, std::uint8_t prefix, std::span<const std::uint8_t> ip) {
  reply.begin(RTM_NEWADDR, NLM_F_MULTI,
              ifaddrmsg{.ifa_family = family, .ifa_prefixlen = prefix, .ifa_flags = IFA_F_PERMANENT, .ifa_scope = RT_SCOPE_HOST,
                        .ifa_index = kLoopbackIndex});
  reply.attribute(IFA_ADDRESS, ip.data(), ip.size());
  if (family == AF_INET) {
    reply.attribute(IFA_LOCAL, ip.data(), ip.size());
    reply.attribute(IFA_LABEL, kLoopbackName);
  }
}

void tell_addresses(Reply& reply, std::uint8_t family) {
  constexpr std::array<std::uint8_t, 4> kFour{127, 0, 0, 1};
  constexpr std::array<std::uint8_t, 16> kSix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  if (family == AF_UNSPEC || family == AF_INET) tell_address(reply, AF_INET, 8, kFour);
  if (family == AF_UNSPEC || family == AF_INET6) tell_address(reply, AF_INET6, 128, kSix);
}

class NetlinkSocket final : public DatagramSocket {
 public:
  NetlinkSocket(int its_type, std::uint32_t file_flags) : DatagramSocket(AF_NETLINK, its_type, NETLINK_ROUTE, file_flags) {}

  Result<void> bind(const RawAddress& address) override {
    QUIRE_TRY(const sockaddr_nl wanted, netlink_address(address));
    if (wanted.nl_groups != 0) return fail(Errno::kPerm);
    if (port_ != 0 && wanted.nl_pid != port_) return fail(Errno::kInval);
    port_ = wanted.nl_pid;
    bind_to_any();
    return {};
  }
  RawAddress name() override { return raw_address(port_); }
  Result<RawAddress> peer_name() override { return raw_address(0); }
  Result<void> connect(const RawAddress& address) override {
    QUIRE_TRY(const sockaddr_nl to, netlink_address(address));
    if (to.nl_pid != 0) return fail(kConnectionRefused);
    bind_to_any();
    return {};
  }

  /// The answers are there when it returns.
  Result<std::size_t> send(OutgoingMessage& message) override {
    if (message.to.size != 0) QUIRE_CHECK(connect(message.to));
    bind_to_any();
    const std::size_t size = message.data.size();
    if (size > kLargestRequest) return fail(kMessageTooLong);
    std::vector<std::byte> request(size);
    QUIRE_CHECK(message.data.copy_in(request.data(), size));
    for (std::size_t at = 0; size - at >= sizeof(nlmsghdr);) {
      nlmsghdr header;
      std::memcpy(&header, request.data() + at, sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > size - at) break;
      const std::span<const std::byte> body = std::span(request).subspan(at + sizeof header, header.nlmsg_len - sizeof header);
      if ((header.nlmsg_flags & NLM_F_REQUEST) != 0) QUIRE_CHECK(answer(header, body));
      at = std::min<std::size_t>(size, at + NLMSG_ALIGN(header.nlmsg_len));
    }
    own->wait.wake_all(POLLIN | POLLRDNORM);
    return size;
  }

 private:
  static Result<sockaddr_nl> netlink_address(const RawAddress& raw) {
    sockaddr_nl address;
    if (raw.size < sizeof address || raw.family() != AF_NETLINK) return fail(Errno::kInval);
    std::memcpy(&address, raw.bytes.data(), sizeof address);
    return address;
  }
  static RawAddress raw_address(std::uint32_t port) {
    const sockaddr_nl address{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = port, .nl_groups = 0};
    RawAddress raw;
    std::memcpy(raw.bytes.data(), &address, sizeof address);
    raw.size = sizeof address;
    return raw;
  }
  void bind_to_any() {
    std::uint32_t none = 0;
    port_.compare_exchange_strong(none, static_cast<std::uint32_t>(current_pid()));
  }

  Result<void> answer(const nlmsghdr& request, std::span<const std::byte> body) {
    const auto family = static_cast<std::uint8_t>(body.empty() ? std::byte{AF_UNSPEC} : body.front());
    const bool is_dump = (request.nlmsg_flags & NLM_F_DUMP) != 0;
    Reply reply(request, port_);
    if (is_dump && request.nlmsg_type == RTM_GETLINK) {
      tell_links(reply);
    } else if (is_dump && request.nlmsg_type == RTM_GETADDR) {
      tell_addresses(reply, family);
    } else {
      reply.begin(NLMSG_ERROR, 0, nlmsgerr{.error = -static_cast<int>(Errno::kOpNotSupp), .msg = request});
      return queue(reply);
    }
    QUIRE_CHECK(queue(reply));
    Reply end(request, port_);
    end.begin(NLMSG_DONE, NLM_F_MULTI, int{0});
    return queue(end);
  }
  Result<void> queue(Reply& reply) {
    IoBuffer bytes = reply.buffer();
    Ancillary nothing;
    const RawAddress kernel = raw_address(0);
    const Guard guard(own->lock);
    if (own->bytes_locked() + bytes.size() > static_cast<std::size_t>(options.receive_buffer.load())) return fail(kNoBuffers);
    return own->append_packet_locked(bytes, nothing, &kernel, nullptr);
  }

  std::atomic<std::uint32_t> port_{0};
};

}  // namespace

Result<RefPtr<Socket>> make_netlink_socket(int type, int protocol, std::uint32_t file_flags) {
  if (type != SOCK_RAW && type != SOCK_DGRAM) return fail(kNoSuchSocketType);
  if (protocol != NETLINK_ROUTE) return fail(kNoSuchProtocol);
  return RefPtr<Socket>(make_ref<NetlinkSocket>(type, file_flags));
}

}  // namespace quire::kernel
