// getsockopt and setsockopt of level SOL_SOCKET. Behaviour: man7 socket(7); Linux v6.12 net/core/sock.c:sk_setsockopt(), sk_getsockopt().
// Options that are not here answer ENOPROTOOPT.
#include <linux/time_types.h>

#include <algorithm>
#include <cstring>

#include "net/socket.h"

namespace quire::kernel {

namespace {

constexpr int kNsPerUs = 1000;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr int kPeerGroups = 59;  // SO_PEERGROUPS

/// struct linger.
struct Linger {
  int on, seconds;
};

template <typename T>
Result<T> value_of(std::span<const std::byte> bytes) {
  T value;
  if (bytes.size() < sizeof value) return fail(Errno::kInval);
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Linux doubles what is asked for, to have room for its own bookkeeping.
int buffer_size(int wanted, int least) {
  return std::max(std::clamp(wanted, 0, SocketOptions::kDefaultBuffer) * 2, least);
}

/// Linux v6.12 net/core/sock.c:sock_set_timeout().
Result<std::uint64_t> timeout_of(std::span<const std::byte> bytes) {
  QUIRE_TRY(const auto time, value_of<__kernel_old_timeval>(bytes));
  if (time.tv_usec < 0 || time.tv_usec >= 1'000'000) return fail(Errno::kDom);
  if (time.tv_sec < 0) return 0;
  if (time.tv_sec == 0 && time.tv_usec == 0) return kForever;
  std::uint64_t ns = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(time.tv_sec), kNsPerSecond, &ns)) return kForever;
  return ns + static_cast<std::uint64_t>(time.tv_usec) * kNsPerUs;
}

__kernel_old_timeval to_timeval(std::uint64_t ns) {
  if (ns == kForever) return {0, 0};
  return {static_cast<__kernel_long_t>(ns / kNsPerSecond), static_cast<__kernel_long_t>(ns % kNsPerSecond / kNsPerUs)};
}

std::atomic<bool>* flag_of(SocketOptions& options, int name) {
  switch (name) {
    case SO_REUSEADDR:
      return &options.reuse_address;
    case SO_REUSEPORT:
      return &options.reuse_port;
    case SO_KEEPALIVE:
      return &options.keep_alive;
    case SO_BROADCAST:
      return &options.broadcast;
    case SO_OOBINLINE:
      return &options.out_of_band_inline;
    case SO_DONTROUTE:
      return &options.do_not_route;
    default:
      return nullptr;
  }
}

}  // namespace

Result<void> Socket::set_option(int level, int name, std::span<const std::byte> value) {
  if (level != SOL_SOCKET) return fail(domain == AF_UNIX ? Errno::kOpNotSupp : kNoSuchOption);
  if (name == SO_LINGER) {
    QUIRE_TRY(const auto linger, value_of<Linger>(value));
    options.linger_on = linger.on != 0;
    options.linger_seconds = linger.seconds;
    return {};
  }
  if (name == SO_RCVTIMEO || name == SO_SNDTIMEO) {
    QUIRE_TRY(const std::uint64_t timeout, timeout_of(value));
    (name == SO_RCVTIMEO ? options.receive_timeout : options.send_timeout) = timeout;
    return {};
  }
  QUIRE_TRY(const int number, value_of<int>(value));
  if (std::atomic<bool>* const flag = flag_of(options, name)) {
    if (name == SO_REUSEPORT && number != 0 && domain == AF_UNIX) return fail(Errno::kOpNotSupp);
    *flag = number != 0;
    return {};
  }
  switch (name) {
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
      if (!current_credentials().can(CAP_NET_ADMIN)) return fail(Errno::kPerm);
      [[fallthrough]];
    case SO_SNDBUF:
    case SO_RCVBUF:
      if (name == SO_SNDBUF || name == SO_SNDBUFFORCE) {
        options.send_buffer = buffer_size(number, SocketOptions::kLeastSendBuffer);
      } else {
        options.receive_buffer = buffer_size(number, SocketOptions::kLeastReceiveBuffer);
      }
      return {};
    case SO_RCVLOWAT:
      options.receive_low = number < 0 ? INT32_MAX : std::max(number, 1);
      return {};
    case SO_PASSCRED:
      if (domain != AF_UNIX) return fail(Errno::kOpNotSupp);
      options.pass_credentials = number != 0;
      return {};
    case SO_PRIORITY:
      if ((number < 0 || number > 6) && !current_credentials().can(CAP_NET_ADMIN)) return fail(Errno::kPerm);
      options.priority = number;
      return {};
    case SO_MARK:
    case SO_BINDTODEVICE:
      if (!current_credentials().can(CAP_NET_ADMIN)) return fail(Errno::kPerm);
      return fail(kNoSuchOption);
    case SO_TYPE:
    case SO_PROTOCOL:
    case SO_DOMAIN:
    case SO_ERROR:
      return fail(kNoSuchOption);
    default:
      return fail(kNoSuchOption);
  }
}

Result<void> Socket::get_option(int level, int name, OptionValue& value) {
  if (level != SOL_SOCKET) return fail(domain == AF_UNIX ? Errno::kOpNotSupp : kNoSuchOption);
  if (const std::atomic<bool>* const flag = flag_of(options, name)) {
    value.set<int>(flag->load() ? 1 : 0);
    return {};
  }
  switch (name) {
    case SO_TYPE:
      value.set<int>(type);
      return {};
    case SO_DOMAIN:
      value.set<int>(domain);
      return {};
    case SO_PROTOCOL:
      value.set<int>(protocol);
      return {};
    case SO_ERROR:
      value.set<int>(static_cast<int>(take_error()));
      return {};
    case SO_LINGER:
      value.set(Linger{options.linger_on.load() ? 1 : 0, options.linger_seconds.load()});
      return {};
    case SO_RCVTIMEO:
      value.set(to_timeval(options.receive_timeout.load()));
      return {};
    case SO_SNDTIMEO:
      value.set(to_timeval(options.send_timeout.load()));
      return {};
    case SO_SNDBUF:
      value.set<int>(options.send_buffer.load());
      return {};
    case SO_RCVBUF:
      value.set<int>(options.receive_buffer.load());
      return {};
    case SO_RCVLOWAT:
      value.set<int>(options.receive_low.load());
      return {};
    case SO_SNDLOWAT:
      value.set<int>(1);
      return {};
    case SO_PASSCRED:
      if (domain != AF_UNIX) return fail(Errno::kOpNotSupp);
      value.set<int>(options.pass_credentials.load() ? 1 : 0);
      return {};
    case SO_PRIORITY:
      value.set<int>(options.priority.load());
      return {};
    case SO_ACCEPTCONN:
      value.set<int>(is_listening() ? 1 : 0);
      return {};
    case SO_PEERCRED:
      value.set(peer_credentials());
      return {};
    case kPeerGroups: {
      const std::vector<std::uint32_t> groups = peer_groups();
      value.size = std::min(groups.size() * sizeof(std::uint32_t), value.bytes.size());
      std::memcpy(value.bytes.data(), groups.data(), value.size);
      return {};
    }
    default:
      return fail(kNoSuchOption);
  }
}

}  // namespace quire::kernel
